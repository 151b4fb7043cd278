/** What is wrong with a setting, in words for whoever wrote it. Never its value, which may be a secret. */
import type { z } from 'zod';

/** What an issue of zod means; what our own checks say stays as it is. */
export function inWords(issue: z.core.$ZodIssue): string {
  const { code, message } = issue;
  if (code === 'invalid_type') return KINDS[issue.expected] ?? message;
  if (code === 'too_small' && isNumber(issue.origin)) return `must be ${issue.minimum} or more`;
  if (code === 'too_big' && isNumber(issue.origin)) return `must be ${issue.maximum} or less`;
  if (code === 'invalid_value')
    return `must be ${issue.values.map((value) => `'${String(value)}'`).join(' or ')}`;
  // A boolean, or the names that the environment has for it.
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

/** Where the parser of JSON gave up, as the end of a sentence; its own message quotes the text, which may be a key. */
export function placeIn(text: string, error: unknown): string {
  if (!(error instanceof SyntaxError)) return '';
  const at = /\bposition (\d+)/.exec(error.message)?.[1];
  const before = at === undefined ? beginningOf(text, error.message) : text.slice(0, Number(at));
  if (before === null) return '';
  const lines = before.split('\n');
  return `: it breaks at line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`;
}

/** What was read before the place that the message does not say; null where it cannot be told. */
function beginningOf(text: string, message: string): string | null {
  if (message.includes('end of JSON input')) return text;
  if (!isStray(message)) return null;
  // The shortest beginning that is refused for the same reason ends with what the parser stumbled over.
  let good = 0;
  let bad = text.length;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (isStray(complaintAbout(text.slice(0, middle)))) bad = middle;
    else good = middle;
  }
  return text.slice(0, good);
}

const isStray = (message: string): boolean => message.startsWith('Unexpected token');

function complaintAbout(text: string): string {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
}
