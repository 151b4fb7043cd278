/**
 * The arguments of a call, from the text that a model or a client wrote. Arguments that no tool can take are refused
 * before anything is done with them. This is the only place where arguments are read.
 */
import { extentOf, MAX_JSON_DEPTH } from '../runs/json-extent.ts';
import { ToolArgumentError } from '../runs/tool.ts';

/**
 * No model writes more in one answer: 128,000 tokens of four letters. It also bounds what one request to a tool's
 * process carries.
 */
const MAX_ARGUMENT_BYTES = 512 * 1024;
/** A check may report every value separately; 250,000 of them took 400 MB. */
const MAX_ARGUMENT_VALUES = 20_000;

/**
 * Arguments as parsed JSON, or as text when they are not JSON; the tool then says what is missing. Blank ones are `{}`.
 * @throws {ToolArgumentError} when they are too long or too deep for any tool, or have too many values.
 */
export function readArguments(written: string): unknown {
  if (isTooLong(written))
    throw new ToolArgumentError(
      `The arguments have more than ${MAX_ARGUMENT_BYTES} bytes; no tool takes that many.`,
    );
  if (written.trim() === '') return {};
  const { depth, values } = extentOf(written);
  if (depth > MAX_JSON_DEPTH)
    throw new ToolArgumentError(`The arguments are nested deeper than ${MAX_JSON_DEPTH} levels.`);
  if (values > MAX_ARGUMENT_VALUES)
    throw new ToolArgumentError(`The arguments have more than ${MAX_ARGUMENT_VALUES} values.`);
  try {
    return JSON.parse(written);
  } catch {
    return written;
  }
}

/** The length is asked first: it costs nothing, and no text has fewer bytes than characters. */
function isTooLong(text: string): boolean {
  return text.length > MAX_ARGUMENT_BYTES || Buffer.byteLength(text) > MAX_ARGUMENT_BYTES;
}
