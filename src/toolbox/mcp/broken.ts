/** Why a connection to an MCP server cannot be used, in words for operators and models: no secret, no address, no stack. */
import { ProtocolError, SdkError, SdkErrorCode, SdkHttpError } from '@modelcontextprotocol/client';
import { ToolError } from '../../runs/tool.ts';

/** How much of a server's own words is quoted. */
const MAX_QUOTE_CHARS = 300;

const SAYS = 'It says: ';

/** The connection can no longer be used, or not be made. The message is a sentence about the server that begins with It. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

/** One request did not get through; the next may. The message is the guarded fetch's. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

/** The server gave no answer to a call. */
export class Unanswered extends ToolError {
  readonly #mayRepeat: boolean;

  constructor(reason: string, mayRepeat: boolean) {
    super(`The tool's server did not answer the call. ${reason}`);
    this.#mayRepeat = mayRepeat;
  }

  /** Whether the connection is lost, and making the call again over another one does no harm. */
  get mayRepeat(): boolean {
    return this.#mayRepeat;
  }
}

/** What servers answer to a request of a session that they no longer know, for example after a restart. */
const NO_SESSION = /session|not (?:yet )?initiali[sz]ed/i;

/** Whether a request was refused because the server has forgotten the session; then it has done nothing. */
export function isSessionLost(error: unknown): boolean {
  if (error instanceof ProtocolError)
    return (
      NO_SESSION.test(error.message) &&
      /\b(?:no|not|in?valid|unknown|expired|missing|terminated|closed|lost)\b/i.test(error.message)
    );
  if (!(error instanceof SdkHttpError)) return false;
  const { status } = error;
  return status === 404 || (status === 400 && NO_SESSION.test(error.message));
}

/** Whether a request cannot have reached the server. */
export function isUnsent(error: unknown): boolean {
  if (error instanceof Broken) return true;
  if (error instanceof Unreachable) return /^E(?:CONNREFUSED|HOSTUNREACH|NETUNREACH)\b/.test(error.message);
  return error instanceof SdkError && error.code === SdkErrorCode.NotConnected;
}

/** Whether the connection ended while a request was under way, which the server may have done or not. */
export function isCutOff(error: unknown): boolean {
  if (error instanceof Unreachable) return true;
  return error instanceof SdkError && error.code === SdkErrorCode.ConnectionClosed;
}

/** One sentence about the server, for any error thrown while talking to it. */
export function reasonOf(error: unknown): string {
  if (error instanceof Broken) return error.message;
  // An answer that cannot be read to its end fails with the guard's own error.
  if (error instanceof Unreachable || error instanceof ToolError)
    return `It cannot be reached: ${quote(error.message)}`;
  if (error instanceof ProtocolError) return `${SAYS}${quote(error.message)}`;
  if (error instanceof SdkHttpError) return `It answered with HTTP status ${error.status ?? 'unknown'}.`;
  if (error instanceof SdkError) return reasonOfCode(error.code);
  const code = codeOf(error);
  return code === undefined ? 'It did not answer as an MCP server does.' : `It cannot be reached (${code}).`;
}

/** A reason for the log and for callers, without the server's own words, which may repeat the request. */
export function reportable(reason: string): string {
  return reason.startsWith(SAYS) ? 'It refused, in words of its own.' : reason;
}

/** A server's words on one line, shortened. */
export function quote(text: string): string {
  const line = text.slice(0, MAX_QUOTE_CHARS).toWellFormed().replaceAll(/\s+/g, ' ');
  return text.length > MAX_QUOTE_CHARS ? `${line}…` : line;
}

function reasonOfCode(code: SdkErrorCode): string {
  if (code === SdkErrorCode.RequestTimeout) return 'It did not answer in time.';
  if (code === SdkErrorCode.ConnectionClosed || code === SdkErrorCode.NotConnected)
    return 'It has ended the connection.';
  return 'It did not answer as an MCP server does.';
}

/** The system's error code, such as ENOENT. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return codeOf(error.cause);
}
