/**
 * Why a try failed, in words fit for a run's `last_error`, and whether another try may help. The upstream's own words
 * are passed on, but cut, on one line, and with anything masked that looks like a key.
 */
import { ModelError } from '../runs/model.ts';
import { isRecord, jsonOf, stringOr } from './json.ts';
import type { Overrun } from './patience.ts';
import { DEFAULT, type Route, type Upstream } from './upstreams.ts';

/** How much of an upstream's own words is passed on, in characters. */
const MAX_SAID = 500;
/** How much of an unreadable answer is quoted, in characters. */
const MAX_QUOTED = 120;
/** Shorter keys are placeholders such as `none`; masking them would mangle ordinary words. */
const MIN_KEY_LENGTH = 6;
/** The shapes of well-known keys, and whatever follows the word Bearer. */
const KEYS =
  /\b(?:sk-[\w*-]+|(?:gsk|xai|hf|pplx|nvapi|r8)[-_][\w*-]{16,}|AIza[\w-]{20,}|Bearer\s+[\w.~+/=*-]+)/gi;

interface Retry {
  /** Whether the same request may be sent again, provided that nothing was passed on yet. */
  readonly retryable: boolean;
  /** How long the upstream asked not to be called, in milliseconds; null when it did not say. */
  readonly waitMs: number | null;
}

const NEVER: Retry = { retryable: false, waitMs: null };
const AGAIN: Retry = { retryable: true, waitMs: null };

/** What an upstream said when it refused: for those who learn from it. Not cleaned of keys, so it is never shown. */
export interface UpstreamRefusal {
  /** The HTTP status, or the one that an error in a stream amounts to. */
  readonly status: number;
  /** Its message, wherever it put it. */
  readonly words: string;
  /** The parameter that it names in a field of its own (`param`); null for none. */
  readonly param: string | null;
  /** Its own code, such as `context_length_exceeded`; null for none. */
  readonly code: string | null;
}

/** A ModelError with the decision whether to try again. */
export class UpstreamFailure extends ModelError {
  readonly retryable: boolean;
  /** What the upstream said; null where it did not refuse, but failed in another way. */
  readonly refusal: UpstreamRefusal | null;

  constructor(
    there: Asked,
    code: ModelError['code'],
    told: string | Told,
    retry: Retry,
    options?: ErrorOptions,
  ) {
    const {
      message,
      reason = message,
      status,
      refusal = null,
    } = typeof told === 'string' ? { message: told } : told;
    super(code, message, {
      ...options,
      retryAfterMs: retry.waitMs,
      facts: {
        reason,
        upstream: there.upstream.name,
        ...(there.model !== undefined && { model: there.model }),
        ...(status !== undefined && { status }),
      },
    });
    this.retryable = retry.retryable;
    this.refusal = refusal;
  }
}

/** The upstream, and perhaps the model, that a try went to. */
type Asked = Pick<Route, 'upstream'> & Partial<Pick<Route, 'model'>>;

/** The words for a failure. Where `message` quotes the upstream, `reason` is what the operator gets. */
interface Told {
  readonly message: string;
  readonly reason?: string;
  readonly status?: number;
  readonly refusal?: UpstreamRefusal;
}

/** An upstream's answer in place of a turn. */
interface ErrorAnswer {
  readonly status: number;
  /** Its error body: JSON, or other text. */
  readonly said: unknown;
  readonly retry: Retry;
}

/** The upstream answered with an error status, or with an error in its stream. */
export function refused(there: Route, answer: ErrorAnswer): UpstreamFailure {
  const { upstream, model, isCallersKey } = there;
  const { status, retry } = answer;
  const refusal = refusalIn(answer);
  const said = clean(refusal.words, upstream.apiKey) || `status ${status}, without a message`;
  const who = `The upstream '${upstream.name}'`;
  const failed = (code: ModelError['code'], reason: string, message = `${reason} It said: ${said}`) =>
    new UpstreamFailure(there, code, { message, reason, status, refusal }, retry);
  switch (status) {
    case 429:
      return failed(
        'rate_limit_exceeded',
        `${who} wants no more requests for now (429).`,
        withWait(said, retry.waitMs),
      );
    case 400:
    case 413:
    case 422:
      return failed('invalid_prompt', `${who} refused the request (${status}).`, said);
    case 401:
    case 403: {
      const ours = upstream.apiKey === undefined ? 'the request, which has no key' : 'its key';
      const key = isCallersKey === true ? 'your API key' : ours;
      const fix =
        isCallersKey === true
          ? 'This server passes it on as it came.'
          : `Check the apiKey of '${upstream.name}' in the config file, or OPENAI_API_KEY.`;
      return failed('server_error', `${who} refused ${key} (${status}). ${fix}`);
    }
    case 404:
      return failed(
        'server_error',
        `${who} does not know the model '${model}', or its baseUrl is wrong (404).`,
      );
    default:
      return failed('server_error', `${who} failed (${status}).`);
  }
}

/**
 * The words of a busy upstream, plus the wait that it named in a header. A wait of less than a second is over before it
 * is read.
 */
function withWait(said: string, waitMs: number | null): string {
  if (waitMs === null || waitMs < 1_000) return said;
  return `${said}${/[.!?…]$/.test(said) ? '' : '.'} Try again in ${Math.ceil(waitMs / 1_000)} s.`;
}

/** Whether a status is worth another try: the upstream was busy or broken, and the request was not at fault. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** An error object inside a stream that began well; `value` is that object. */
export function refusedInStream(route: Route, value: unknown): UpstreamFailure {
  const status = statusOf(value);
  return refused(route, { status, said: value, retry: { retryable: isPassing(status), waitMs: null } });
}

/** No connection, or a lost one, before the answer began. */
export function unreachable(there: Route, cause: unknown): UpstreamFailure {
  const { upstream } = there;
  const code = codeOf(cause);
  const why = code === null ? '' : ` (${code})`;
  const text = `The upstream '${upstream.name}' cannot be reached${why}. Check that it runs, and its baseUrl (OPENAI_BASE_URL).`;
  return new UpstreamFailure(there, 'server_error', text, AGAIN, { cause });
}

/**
 * The upstream answered with a redirect. The message names only the target's origin, because the rest of the address
 * may hold anything.
 */
export function redirected(upstream: Upstream, status: number, location: string | null): UpstreamFailure {
  const setting = `the baseUrl of '${upstream.name}' in the config file`;
  // OPENAI_BASE_URL sets only the upstream of this name.
  const place = upstream.name === DEFAULT ? `${setting}, or OPENAI_BASE_URL,` : setting;
  const text =
    `The upstream '${upstream.name}' sends its callers on to ${placeOf(location, upstream.baseUrl)} (${status}), ` +
    `and redirects are not followed. Set ${place} to the address that answers itself.`;
  return new UpstreamFailure({ upstream }, 'server_error', { message: text, status }, NEVER);
}

function placeOf(location: string | null, base: string): string {
  if (location === null) return 'nowhere in particular';
  const url = URL.parse(location, base);
  if (url === null || !/^https?:$/.test(url.protocol)) return 'something that is no web address';
  return url.origin === new URL(base).origin ? 'another path of the same server' : url.origin;
}

/** The answer ended before its end. */
export function brokeOff(there: Route, cause?: unknown): UpstreamFailure {
  const text = `The upstream '${there.upstream.name}' broke off in the middle of its answer.`;
  return new UpstreamFailure(there, 'server_error', text, AGAIN, { cause });
}

const OVERDUE: Readonly<Record<Overrun, readonly [what: string, variable: string]>> = {
  idleMs: ['sent nothing for', 'UPSTREAM_IDLE_MS'],
  stallMs: ['sent neither a word nor a call nor a thought, only signs of life, for', 'UPSTREAM_STALL_MS'],
  thinkMs: ['sent nothing but thoughts for', 'UPSTREAM_THINK_MS'],
  totalMs: ['was not done with its answer after', 'UPSTREAM_TOTAL_MS'],
};

/** The upstream took too long. Trying again would double a wait that was too long already. */
export function overdue(there: Route, limit: Overrun, limitMs: number): UpstreamFailure {
  const [what, variable] = OVERDUE[limit];
  const setting = limit === 'idleMs' ? '' : ` The limit is ${variable}, or ${limit} of that upstream.`;
  const text = `The upstream '${there.upstream.name}' ${what} ${limitMs / 1000} s and was given up.${setting}`;
  return new UpstreamFailure(there, 'server_error', text, NEVER);
}

/** The answer cannot be read. `what` names what was expected; `sent` is quoted in part. */
export function nonsense(there: Route, what: string, sent: string): UpstreamFailure {
  const { upstream } = there;
  const text = `The upstream '${upstream.name}' sent something that is not ${what}`;
  const told = { message: `${text}: ${quoteOf(sent, upstream)}`, reason: `${text}.` };
  return new UpstreamFailure(there, 'server_error', told, NEVER);
}

/** The answer ended without any content. `reason` is the upstream's finish reason; `sent` is quoted in part. */
export function unsaid(there: Route, reason: string | null, sent: string): UpstreamFailure {
  const { upstream } = there;
  const why = reason === null ? '' : `, with the reason '${quoteOf(reason, upstream)}'`;
  const text = `The upstream '${upstream.name}' ended its answer without a word or a call`;
  const told = { message: `${text}${why}. It sent: ${quoteOf(sent, upstream)}`, reason: `${text}.` };
  return new UpstreamFailure(there, 'server_error', told, AGAIN);
}

/** The upstream's finish reason is one that no answer ends with; often it is all that is said of an error. */
export function gaveUp(there: Route, reason: string): UpstreamFailure {
  const { upstream } = there;
  const text = `The upstream '${upstream.name}' did not finish its answer`;
  const told = {
    message: `${text}. The reason it gave is '${quoteOf(reason, upstream)}'.`,
    reason: `${text}.`,
  };
  return new UpstreamFailure(there, 'server_error', told, AGAIN);
}

/** The answer exceeded a limit; `what` says which. */
export function tooLarge(there: Route, what: string): UpstreamFailure {
  const text = `The upstream '${there.upstream.name}' sent ${what}.`;
  return new UpstreamFailure(there, 'server_error', text, NEVER);
}

/** The beginning of what an upstream sent. */
function quoteOf(sent: string, { apiKey }: Upstream): string {
  return clean(sent.slice(0, MAX_SAID), apiKey).slice(0, MAX_QUOTED);
}

/** On one line, without keys, at most MAX_SAID characters. */
export function clean(text: string, apiKey: string | undefined): string {
  const line = text.replaceAll(/\p{Cc}+/gu, ' ').trim();
  const own =
    apiKey !== undefined && apiKey.length >= MIN_KEY_LENGTH ? line.replaceAll(apiKey, '[key]') : line;
  const masked = own.replaceAll(KEYS, '[key]');
  return masked.length > MAX_SAID ? `${masked.slice(0, MAX_SAID)}…` : masked;
}

/** Errors may be nested in errors, but no real server nests them deeper than this. */
const MAX_NESTED_ERRORS = 4;

function refusalIn({ status, said }: ErrorAnswer): UpstreamRefusal {
  const found = errorObject(said);
  const code = found['code'];
  return {
    status,
    words: wordsOf(said),
    param: stringOr(found['param']) || null,
    code: typeof code === 'string' && code !== '' ? code : null,
  };
}

/** The object that holds the message, the innermost where errors are nested; empty where there is none. */
function errorObject(said: unknown, depth = 0): Readonly<Record<string, unknown>> {
  // Gemini sends a list with one error.
  const value: unknown = Array.isArray(said) ? said[0] : said;
  if (!isRecord(value)) return {};
  const { error } = value;
  return isRecord(error) && depth < MAX_NESTED_ERRORS ? errorObject(error, depth + 1) : value;
}

/** The readable message in an error body, wherever the server put it. */
export function wordsOf(said: unknown, depth = 0): string {
  if (typeof said === 'string') return /^\s*</.test(said) ? 'an HTML page' : said;
  if (Array.isArray(said) && said.length > 0 && depth < MAX_NESTED_ERRORS) return wordsOf(said[0], depth + 1);
  if (!isRecord(said)) return said === null || said === undefined ? '' : anyWords(said);
  if (typeof said['message'] === 'string') return said['message'];
  const { error } = said;
  if (error !== undefined && error !== null && depth < MAX_NESTED_ERRORS) return wordsOf(error, depth + 1);
  return stringOr(said['detail']) || anyWords(said);
}

const anyWords = (said: unknown): string => jsonOf(said) ?? 'something nested too deep to be shown';

/** The HTTP status an error object in a stream amounts to. */
function statusOf(value: unknown): number {
  if (!isRecord(value)) return 500;
  for (const field of [value['status'], value['code'], value['status_code']]) {
    const status = Number(field);
    if (Number.isInteger(status) && status >= 400 && status <= 599) return status;
  }
  const names = `${stringOr(value['type'])} ${stringOr(value['code'])}`.toLowerCase();
  if (/rate_?limit|quota|too_?many/.test(names)) return 429;
  if (/auth|permission|api_?key/.test(names)) return 401;
  if (/not_?found/.test(names)) return 404;
  if (/invalid|bad_?request|context_?length|content_?policy/.test(names)) return 400;
  return 500;
}

/** The system's error code at the bottom of a fetch error, for example ECONNREFUSED. */
function codeOf(error: unknown): string | null {
  let at = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth += 1) {
    if ('code' in at && typeof at.code === 'string') return at.code;
    at = at.cause;
  }
  return null;
}
