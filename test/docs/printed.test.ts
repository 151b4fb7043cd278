/** The comparison of answers with what is printed can fail. */
import { expect, test } from 'vitest';
import { compact, printedPattern } from './printed.ts';

const PRINTED = '{"id": "call_…", "created": 1760000000,\n "says": "Well, I am…", "usage": {…}}';

test.for([
  ['{"id":"call_1","created":1795674889,"says":"Well, I am here","usage":{"a":{}}}', true],
  ['{"id":"call_1","created":1795674889,"says":"Well, I was","usage":{"a":{}}}', false],
  ['{"id":"call_1","created":null,"says":"Well, I am here","usage":{"a":{}}}', false],
  ['{"id":"call_1","created":1795674889,"says":"Well, I am here","usage":{"a":{}},"more":1}', false],
  ['{"id":"call_1","created":1795674889,"says":"Well, I am here"}', false],
] as const)('%s is what is printed: %s', ([answer, isPrinted]) => {
  expect(printedPattern(PRINTED).test(compact(answer))).toBe(isPrinted);
});

test.for([
  ['data: 1\n\ndata: 2\n\ndata: 3\n\ndata: [DONE]\n\n', true],
  ['data: 1\n\ndata: [DONE]\n\n', true],
  ['data: [DONE]\n\n', false],
  ['data: 1\n\ndata: 2\n\n', false],
  ['data: 0\n\ndata: 2\n\ndata: [DONE]\n\n', false],
] as const)('the stream %j is what is printed: %s', ([answer, isPrinted]) => {
  expect(printedPattern('data: 1\n\n…\n\ndata: [DONE]').test(compact(answer))).toBe(isPrinted);
});
