/** Checks a tool's answer: JSON of a bounded size and depth. Anything else is refused with a reason for the model. */
import { extentOf, MAX_JSON_DEPTH } from '../runs/json-extent.ts';
import { ToolError } from '../runs/tool.ts';

/**
 * The answer as plain JSON.
 * @throws {ToolError} when it is binary, is not JSON, is nested too deep, or has more than `maxBytes` when written.
 */
export function checkedOutput(value: unknown, maxBytes: number): unknown {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Blob)
    throw new ToolError('The tool answered with binary data, which cannot be shown to a model.');
  const text = write(value);
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) {
    throw new ToolError(`The tool answered ${bytes} bytes; at most ${maxBytes} are passed on. Ask for less.`);
  }
  if (extentOf(text).depth > MAX_JSON_DEPTH) throw tooDeep();
  return JSON.parse(text);
}

function write(value: unknown): string {
  try {
    // JSON.stringify returns undefined for values that JSON lacks, although its type does not say so.
    return JSON.stringify(value ?? null) ?? 'null';
  } catch (cause) {
    // The stack overflowed: the answer has more levels than can be written.
    if (cause instanceof RangeError) throw tooDeep(cause);
    throw new ToolError('The tool answered with something that is not JSON.', { cause });
  }
}

function tooDeep(cause?: unknown): ToolError {
  return new ToolError(`The tool answered with JSON that is nested deeper than ${MAX_JSON_DEPTH} levels.`, {
    cause,
  });
}
