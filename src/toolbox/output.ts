/** What may leave a tool as its answer: JSON of a bounded size. Everything else is refused with a reason for the model. */
import { ToolError } from '../runs/tool.ts';

/**
 * The answer as plain JSON.
 * @throws {ToolError} when it is binary, is no JSON, or is bigger than `maxBytes` when written.
 */
export function checkedOutput(value: unknown, maxBytes: number): unknown {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Blob)
    throw new ToolError('The tool answered with binary data, which cannot be shown to a model.');
  const text = write(value);
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) {
    throw new ToolError(`The tool answered ${bytes} bytes; at most ${maxBytes} are passed on. Ask for less.`);
  }
  return JSON.parse(text);
}

function write(value: unknown): string {
  try {
    // JSON.stringify gives undefined for what JSON has no word for, whatever its type says.
    return JSON.stringify(value ?? null) ?? 'null';
  } catch (cause) {
    throw new ToolError('The tool answered with something that is not JSON.', { cause });
  }
}
