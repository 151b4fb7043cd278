/**
 * Which refusals pass by themselves, by their status and their words: the upstream was busy or broken, it still loads
 * its model, or the model wrote something that its server could not read. All others would be refused again.
 */

/** An upstream that cannot answer yet: nothing listens there, or it is there and not ready, because it loads a model. */
export type Absence = 'away' | 'loading';

/** What an upstream's failure says about another try. */
export interface Retry {
  /** Whether the same request may be sent again, provided that nothing was passed on yet. */
  readonly retryable: boolean;
  /** How long the upstream asked not to be called, in milliseconds; null when it did not say. */
  readonly waitMs: number | null;
  /** Why it is worth waiting for the upstream; missing where it is not. */
  readonly absence?: Absence | null;
  /** The upstream asks not to be tried again. */
  readonly isForbidden?: boolean;
}

/** What is looked at of a refusal. */
interface SaidFault {
  readonly status: number;
  readonly words: string;
  readonly code: string | null;
}

/** The words of a long error that are read. */
const MAX_READ = 1_000;

/** Not what the server does, in place of not now. */
const NEVER_DONE: ReadonlySet<number> = new Set([501, 505]);
/** A request that was too slow, in conflict, too early, or given up by a gateway. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 425, 429, 499]);

/** Whether a status is worth another try: the upstream was busy or broken, and the request was not at fault. */
export function isPassing(status: number): boolean {
  return PASSING.has(status) || (status >= 500 && !NEVER_DONE.has(status));
}

/** The model wrote a call that its server could not read; the next time it may write it well. */
const BAD_CALL =
  /tool_use_failed|failed_generation|failed to call a (?:function|tool)|(?:tool|function) call validation failed|(?:failed|unable|could not|cannot|error) (?:to )?pars(?:e|ing) (?:the )?(?:model(?:'s)? )?(?:tool|function|generated|output)[ _-]?(?:call|arguments|output)?|(?:malformed|invalid|unparsable) (?:tool|function)[ _]calls? (?:generated|produced|by the model|from the model)|malformed_function_call/i;

/**
 * The model made its server fail, not the prompt.
 * @param error the error object
 */
export function isFaultOfModel({ status, words, code }: SaidFault, error: object): boolean {
  if (status !== 400 && status !== 422) return false;
  return 'failed_generation' in error || BAD_CALL.test(`${code ?? ''} ${words.slice(0, MAX_READ)}`);
}

const LOADING =
  /\bloading (?:the |a |your |its )?(?:\S+ )?model|\bmodel\b.{0,80}\b(?:is|are|still|currently|being)\b.{0,30}\b(?:loading|being loaded)\b|\b(?:is|are|still|currently) (?:loading|being loaded|warming up|starting(?: up)?|initiali[sz]ing)\b|\bwarming up\b|\bstarting up\b|\bnot (?:yet )?ready\b|加载中|正在加载|启动中|正在启动|预热/i;
/** A model that cannot be loaded will not be there later. */
const NOT_LOADED =
  /\b(?:error|fail(?:ed|ure|s)?|unable|cannot|can['’]t|could not|couldn['’]t)(?: \w+)? (?:be )?load(?:ed|ing)?\b|加载失败|无法加载/i;
/** A gateway has nothing behind it that serves such a model: a mistake in a name, more often than a moment. */
const NO_SUCH_MODEL =
  /\bno (?:available|healthy|usable) (?:channel|deployment|provider|upstream|endpoint)s?\b|渠道|\bmodel\b.{0,80}(?:not found|not exist|unknown|not supported|不存在)/i;

/** Whether to ask again after a refusal for which its head said `said`, and whether the upstream is worth waiting for. */
export function retryFor(refusal: SaidFault, isFault: boolean, said: Retry): Retry {
  const absence = absenceIn(refusal);
  const retryable = said.isForbidden !== true && (said.retryable || absence !== null || isFault);
  return { ...said, retryable, absence: retryable ? absence : null };
}

/** A proxy whose server restarts. Providers answer 502 as well, in words of their own, when an answer has failed. */
const NOTHING_BEHIND =
  /^\s*$|^an HTML page$|^\W*(?:502\W*)?bad gateway\W*$|\bconnection refused\b|ECONNREFUSED|\bconnect error\b/i;

function absenceIn({ status, words: all }: SaidFault): Absence | null {
  const words = all.slice(0, MAX_READ);
  if (NOT_LOADED.test(words)) return null;
  if (LOADING.test(words)) return 'loading';
  if (status === 502) return NOTHING_BEHIND.test(words) ? 'loading' : null;
  return status === 503 && !NO_SUCH_MODEL.test(words) ? 'loading' : null;
}

/** No address, no connection, or none that lasted until an answer began. Certificates and the like do not heal by themselves. */
const AWAY =
  /^(?:ECONN(?:REFUSED|RESET|ABORTED)|E(?:HOST|NET)(?:UNREACH|DOWN)|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_\w+|UND_ERR_(?:SOCKET|CONNECT_TIMEOUT))$/;

/** Whether to try again after a connection failed with this code of the system, if it had one. */
export function retryAfterLoss(systemCode: string | null): Retry {
  const isAway = systemCode !== null && AWAY.test(systemCode);
  return { retryable: true, waitMs: null, absence: isAway ? 'away' : null };
}
