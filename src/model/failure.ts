/**
 * Why a try failed, in words fit for a run's `last_error`, and whether another try may help. The upstream's own words
 * are passed on, but cut, on one line, and with anything masked that looks like a key.
 */
import { ModelError, type Overflow } from '../runs/model.ts';
import type { FailureFacts } from '../runs/thread.ts';
import { kindOfRefusal, type FailureKind } from './failure-kind.ts';
import { isFaultOfModel, isPassing, retryAfterLoss, retryFor, type Absence, type Retry } from './faults.ts';
import { stringOr } from './json.ts';
import { overflowIn } from './overflow.ts';
import type { Overrun } from './patience.ts';
import { codeOf, errorObject, statusOf, wordsOf } from './said-errors.ts';
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
  /** All it said: JSON, or other text. */
  readonly said: unknown;
}

/** A ModelError with the decision whether to try again. */
export class UpstreamFailure extends ModelError {
  readonly retryable: boolean;
  /** Why the upstream cannot answer yet; null where another try depends on something else. */
  readonly absence: Absence | null;
  /** What the upstream said; null where it did not refuse, but failed in another way. */
  readonly refusal: UpstreamRefusal | null;
  readonly kind: FailureKind;

  constructor(there: Asked, code: ModelError['code'], told: Told, retry: Retry, options?: ErrorOptions) {
    const { message, kind, reason = message, status, refusal = null, overflow = null } = told;
    super(code, message, {
      ...options,
      retryAfterMs: retry.waitMs,
      overflow,
      facts: {
        reason,
        upstream: there.upstream.name,
        ...(there.model !== undefined && { model: there.model }),
        ...(status !== undefined && { status }),
        ...saidIn(refusal),
        // Clients shorten what they send where they are told so, and few servers say it in this word.
        ...(overflow !== null && { code: 'context_length_exceeded' }),
      },
    });
    this.retryable = retry.retryable;
    this.absence = retry.absence ?? null;
    this.refusal = refusal;
    this.kind = kind;
  }
}

/** The upstream, and perhaps the model, that a try went to. */
type Asked = Pick<Route, 'upstream'> & Partial<Pick<Route, 'model'>>;

/** The words for a failure. Where `message` quotes the upstream, `reason` is what the operator gets. */
interface Told {
  readonly message: string;
  readonly kind: FailureKind;
  readonly reason?: string;
  readonly status?: number;
  readonly refusal?: UpstreamRefusal;
  readonly overflow?: Overflow | null;
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
  const { status } = answer;
  const refusal = refusalIn(answer);
  const overflow = overflowIn(status, answer.said);
  const isFault = isFaultOfModel(refusal, errorObject(answer.said));
  const retry = overflow === null ? retryFor(refusal, isFault, answer.retry) : NEVER;
  const said = clean(refusal.words, upstream) || `status ${status}, without a message`;
  const who = `The upstream '${upstream.name}'`;
  const kind = kindOfRefusal(status, overflow !== null, isFault);
  const failed = (code: ModelError['code'], reason: string, message = `${reason} It said: ${said}`) =>
    new UpstreamFailure(there, code, { message, kind, reason, status, refusal, overflow }, retry);
  if (overflow !== null)
    return failed('invalid_prompt', `${who} refused the prompt as too long (${status}).`, said);
  // What a model does wrong is not the fault of the prompt.
  if (isFault) return failed('server_error', `${who} failed (${status}).`);
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
          : `Check the apiKey of '${upstream.name}' in the config file${upstream.name === DEFAULT ? ', or OPENAI_API_KEY' : ''}.`;
      return failed('server_error', `${who} refused ${key} (${status}). ${fix}`);
    }
    case 404:
      return failed(
        'server_error',
        `${who} does not know the model '${model}', or its baseUrl is wrong (404). GET /v1/models lists what it has; an alias makes this name stand for one of them.`,
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

/** An error object inside a stream that began well; `value` is that object. */
export function refusedInStream(route: Route, value: unknown): UpstreamFailure {
  const status = statusOf(value);
  return refused(route, { status, said: value, retry: { retryable: isPassing(status), waitMs: null } });
}

/** No connection, or a lost one, before the answer began. */
export function unreachable(there: Asked, cause: unknown): UpstreamFailure {
  const { upstream } = there;
  const code = systemCodeOf(cause);
  const why = code === null ? '' : ` (${code})`;
  const place = upstream.name === DEFAULT ? ' (OPENAI_BASE_URL)' : '';
  const text = `The upstream '${upstream.name}' cannot be reached${why}. Check that it runs, and its baseUrl${place}.`;
  const told = { message: text, kind: 'unreachable' } as const;
  return new UpstreamFailure(there, 'server_error', told, retryAfterLoss(code), { cause });
}

/** An upstream that could not answer was waited for in vain. `isKnown`: it has answered this process before. */
export function outwaited(
  there: Route,
  failure: UpstreamFailure,
  waitedMs: number,
  isKnown: boolean,
): UpstreamFailure {
  const { facts, kind, refusal, code, absence, retryAfterMs } = failure;
  const waited = `It was waited for ${Math.round(waitedMs / 1_000)} s`;
  const why = isKnown ? `${waited}.` : `${waited}, no longer because it has never answered this worker.`;
  const told = {
    message: `${failure.message} ${why}`,
    kind,
    reason: `${facts.reason} ${why}`,
    ...(facts.status !== undefined && { status: facts.status }),
    ...(refusal !== null && { refusal }),
  };
  return new UpstreamFailure(
    there,
    code,
    told,
    { retryable: false, waitMs: retryAfterMs, absence },
    { cause: failure },
  );
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
  return new UpstreamFailure(
    { upstream },
    'server_error',
    { message: text, kind: 'bad_answer', status },
    NEVER,
  );
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
  return new UpstreamFailure(there, 'server_error', { message: text, kind: 'broken_off' }, AGAIN, { cause });
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
  return new UpstreamFailure(there, 'server_error', { message: text, kind: 'timeout' }, NEVER);
}

/** The answer cannot be read. `what` names what was expected; `sent` is quoted in part. */
export function nonsense(there: Route, what: string, sent: string): UpstreamFailure {
  const { upstream } = there;
  const text = `The upstream '${upstream.name}' sent something that is not ${what}`;
  const said = quoteOf(sent, upstream);
  const told = { message: `${text}: ${said}`, kind: 'bad_answer', reason: `${text}.` } as const;
  return new UpstreamFailure(there, 'server_error', told, AGAIN);
}

/** The answer ended without any content. `reason` is the upstream's finish reason; `sent` is quoted in part. */
export function unsaid(there: Route, reason: string | null, sent: string): UpstreamFailure {
  const { upstream } = there;
  const why = reason === null ? '' : `, with the reason '${quoteOf(reason, upstream)}'`;
  const text = `The upstream '${upstream.name}' ended its answer without a word or a call`;
  const message = `${text}${why}. It sent: ${quoteOf(sent, upstream)}`;
  const told = { message, kind: 'bad_answer', reason: `${text}.` } as const;
  return new UpstreamFailure(there, 'server_error', told, AGAIN);
}

/** The upstream's finish reason is one that no answer ends with; often it is all that is said of an error. */
export function gaveUp(there: Route, reason: string): UpstreamFailure {
  const { upstream } = there;
  const text = `The upstream '${upstream.name}' did not finish its answer`;
  const told = {
    message: `${text}. The reason it gave is '${quoteOf(reason, upstream)}'.`,
    kind: 'bad_answer',
    reason: `${text}.`,
  } as const;
  return new UpstreamFailure(there, 'server_error', told, AGAIN);
}

/** The answer exceeded a limit; `what` says which. */
export function tooLarge(there: Route, what: string): UpstreamFailure {
  const text = `The upstream '${there.upstream.name}' sent ${what}.`;
  return new UpstreamFailure(there, 'server_error', { message: text, kind: 'bad_answer' }, NEVER);
}

/** The beginning of what an upstream sent. */
function quoteOf(sent: string, upstream: Upstream): string {
  return clean(sent.slice(0, MAX_SAID), upstream).slice(0, MAX_QUOTED);
}

/** On one line, without keys, at most MAX_SAID characters. */
export function clean(
  text: string,
  { apiKey = '', secrets = [] }: Pick<Upstream, 'apiKey' | 'secrets'>,
): string {
  const line = text.replaceAll(/\p{Cc}+/gu, ' ').trim();
  const own = [apiKey, ...secrets]
    .filter((key) => key.length >= MIN_KEY_LENGTH)
    .reduce((said, key) => said.replaceAll(key, '[key]'), line);
  const masked = own.replaceAll(KEYS, '[key]');
  return masked.length > MAX_SAID ? `${masked.slice(0, MAX_SAID)}…` : masked;
}

/** A parameter or a code as servers name them, and nothing longer. */
const NAME = /^[\w.[\]-]{1,128}$/;
const MAX_CODE = 64;

/**
 * What the upstream calls the parameter at fault and the error, for clients that read it. Not where it refused a key:
 * that is the operator's, and the client's own may be right.
 */
function saidIn(refusal: UpstreamRefusal | null): Pick<FailureFacts, 'param' | 'code'> {
  if (refusal === null || refusal.status === 401 || refusal.status === 403) return {};
  const { param, code } = refusal;
  const isName = (name: string | null): name is string =>
    name !== null && NAME.test(name) && clean(name, {}) === name;
  return {
    ...(isName(param) && { param }),
    ...(isName(code) && code.length <= MAX_CODE && { code }),
  };
}

function refusalIn({ status, said }: ErrorAnswer): UpstreamRefusal {
  const param = errorObject(said)['param'];
  return { status, words: wordsOf(said), param: stringOr(param) || null, code: codeOf(said), said };
}

/** The system's error code at the bottom of a fetch error, for example ECONNREFUSED. */
function systemCodeOf(error: unknown): string | null {
  let at = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth += 1) {
    if ('code' in at && typeof at.code === 'string') return at.code;
    at = at.cause;
  }
  return null;
}
