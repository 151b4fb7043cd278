/** Says what is wrong with a setting, in words for the operator. Never shows its value, which may be a secret. */
import type { z } from 'zod';

/** The meaning of a zod issue; messages of our own checks are kept. */
export function inWords(issue: z.core.$ZodIssue): string {
  const { code, message } = issue;
  if (code === 'invalid_type') return KINDS[issue.expected] ?? message;
  if (code === 'too_small' && isNumber(issue.origin)) return `must be ${issue.minimum} or more`;
  if (code === 'too_big' && isNumber(issue.origin)) return `must be ${issue.maximum} or less`;
  if (code === 'invalid_value')
    return `must be ${issue.values.map((value) => `'${String(value)}'`).join(' or ')}`;
  // The name of an entry, not its value.
  if (code === 'invalid_key') return issue.issues[0]?.message ?? message;
  // A boolean, or one of its names in the environment.
  if (code === 'invalid_union' && issue.errors.flat().some(isAboutBoolean)) return IS_BOOLEAN;
  return message;
}

const IS_BOOLEAN = 'must be true or false';

const isAboutBoolean = (issue: z.core.$ZodIssue): boolean =>
  issue.code === 'invalid_type' && issue.expected === 'boolean';

const KINDS: Readonly<Record<string, string>> = {
  number: 'must be a number',
  int: 'must be a whole number',
  boolean: IS_BOOLEAN,
  string: 'must be text',
  array: 'must be a list',
  object: 'must be an object',
  record: 'must be an object',
};

const isNumber = (origin: string): boolean => origin === 'number' || origin === 'int';
