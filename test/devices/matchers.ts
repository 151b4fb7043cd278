/** vitest's matchers without their `any`, so that they can stand inside of typed objects. */
import { expect } from 'vitest';

export const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);
export const containing = (part: string): unknown => expect.stringContaining(part);
export const listWith = (...items: readonly string[]): unknown => expect.arrayContaining([...items]);

export const objectWith = (fields: object): unknown => expect.objectContaining(fields);

/** Anything but null and undefined. */
export const SOMETHING: unknown = expect.anything();
/** Any text but none. */
export const SOME_TEXT = matching(/./);
export const SOME_NUMBER: unknown = expect.any(Number);
