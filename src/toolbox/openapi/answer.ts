/**
 * Turns an API's answer into the tool's answer: JSON as it is, text as text, and everything else as an error in words.
 * Binary data is never passed on.
 */
import { ToolError } from '../../runs/tool.ts';

/** Enough of an error's body to learn what was wrong. */
const MAX_ERROR_CHARS = 1_000;

const JSON_TYPE = /^application\/([\w.-]+\+)?json\b/i;
const TEXT_TYPE =
  /^(text\/|application\/([\w.-]+\+)?(xml|yaml|x-ndjson|javascript|x-www-form-urlencoded)\b)/i;

/**
 * @param hide removes secrets from what the API says; some APIs repeat the request
 * @throws {ToolError} for failures, redirects and unreadable answers, with what the model may know about them
 */
export async function readAnswer(response: Response, hide: (text: string) => string): Promise<unknown> {
  const { status } = response;
  // Some clients report a redirect that is not followed as status 0.
  if (status === 0 || (status >= 300 && status < 400)) {
    await response.body?.cancel();
    throw new ToolError(
      `HTTP ${status}: the API sends its callers to another address, which is not followed.`,
    );
  }
  const type = response.headers.get('content-type') ?? '';
  const isReadable = type === '' || JSON_TYPE.test(type) || TEXT_TYPE.test(type);
  if (!isReadable) throw await unreadable(response, type, status);
  const text = hide(await response.text());
  if (status >= 400)
    throw new ToolError(
      `HTTP ${status}: ${text.slice(0, MAX_ERROR_CHARS).toWellFormed() || 'nothing else was said.'}`,
    );
  if (text === '') return { status };
  if (type === '' && /[\0\ufffd]/.test(text))
    throw new ToolError(`The API answered with bytes of no known type.`);
  return JSON_TYPE.test(type) ? readJson(text) : text;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ToolError('The API answered with JSON that cannot be read: it is broken or cut off.');
  }
}

async function unreadable(response: Response, type: string, status: number): Promise<ToolError> {
  if (status >= 400) {
    await response.body?.cancel();
    return new ToolError(`HTTP ${status}`);
  }
  const said = response.headers.get('content-length');
  const bytes = said ?? String((await response.arrayBuffer()).byteLength);
  if (said !== null) await response.body?.cancel();
  return new ToolError(
    `The API answered with ${type.slice(0, 100)} (${bytes} bytes). Only JSON and text can be read.`,
  );
}
