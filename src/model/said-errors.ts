/**
 * What servers send where they mean an error: which JSON is one, and the words, the code and the status in it. Servers
 * and gateways have many shapes for it, and some of them come under the status 200. Plain checks: most of what is looked
 * at is a good chunk, once per token.
 */
import { isRecord } from '../runs/record.ts';
import { jsonOf, parseJson, stringOr } from './json.ts';

type ErrorFields = Readonly<Record<string, unknown>>;

/** Errors may be nested in errors, but no real server nests them deeper than this. */
const MAX_NESTED = 4;
/** Of several errors in a list, so many are told. */
const MAX_TOLD = 3;
/** The words of a long error that are read. */
const MAX_READ = 1_000;
/** Words of a server that does not want the request, in place of words about itself. */
const REFUSING =
  /\binvalid (?:value|parameter|argument|type|key|request|input|field|content|image|['"`])|\b(?:unsupported|unrecogni[sz]ed|retired|deprecated|malformed (?:input|request))\b|\bunknown (?:parameter|field|name|argument|property|key)|\bnot (?:an? |be )?(?:\w+ )?(?:supported|allowed|permitted|accepted|recogni[sz]ed)\b|(?:does|do)(?: not|n['’]?t) (?:support|accept)|additional propert|\b(?:must|should) be (?:an?|in|one|at|less|greater|between|set)\b|\bmust (?:not )?(?:be|contain|have)\b|参数|不支持|不允许|非法/i;

/** Where servers put the words of an error, those first that are most likely meant for people. */
const WORDS = [
  'message',
  'msg',
  'detail',
  'error_msg',
  'error_message',
  'errorMessage',
  'err_msg',
  'errmsg',
  'errMsg',
  'status_msg',
  'status_message',
  'description',
  'error_description',
  'reason',
  'title',
] as const;
/** Where they put a code of their own. */
const CODES = ['code', 'error_code', 'errorCode', 'err_code', 'errcode', 'status_code'] as const;
/** Where they put an HTTP status. */
const STATUSES = ['status', 'code', 'status_code', 'statusCode', 'http_code', 'http_status'] as const;
/** Names and numbers that say that all is well. */
const WELL = /^(?:0+|2\d\d|20000?|ok|success|succeeded|successful|normal|none|null)?$/i;

/**
 * The error that a server sent in place of a chunk or a completion, or null where it sent none.
 * @param isWhole whether nothing else belongs to the answer; then a message without choices is an error
 */
export function errorIn(sent: unknown, isWhole = false): unknown {
  // Gemini sends a list with one error.
  const said: unknown = Array.isArray(sent) ? sent[0] : sent;
  if (!isRecord(said)) return null;
  const { error, choices, base_resp: base } = said;
  // A text in that place is often only the status; the words and the code are beside it.
  if (isTelling(error)) return typeof error === 'object' ? error : said;
  if (said['object'] === 'error') return said;
  // MiniMax says in every answer how it went.
  if (isRecord(base) && !isWell(base['status_code'])) return base;
  if (Array.isArray(choices) && choices.length > 0) return errorInChoice(choices[0]);
  return isError(said, isWhole) ? said : null;
}

/** `error` is also sent as null, as an empty object or as an empty text where there is none. */
function isTelling(error: unknown): boolean {
  if (isRecord(error)) return Object.keys(error).length > 0;
  if (Array.isArray(error)) return error.length > 0;
  return error === true || (typeof error === 'string' && error !== '');
}

/** OpenRouter names the error of a provider in the choice; others put it into the delta. */
function errorInChoice(choice: unknown): unknown {
  if (!isRecord(choice)) return null;
  if (isTelling(choice['error'])) return choice['error'];
  const delta = choice['delta'] ?? choice['message'];
  return isRecord(delta) && isTelling(delta['error']) ? delta['error'] : null;
}

/** Whether an object without choices is an error by what it is called, by its code, or by its status. */
function isError(said: ErrorFields, isWhole: boolean): boolean {
  const hasWords = WORDS.some((name) => stringOr(said[name]) !== '' || Array.isArray(said[name]));
  if (/error|exception/i.test(stringOr(said['type'])) || said['success'] === false) return true;
  if (stringOr(said['detail']) !== '' || isProblems(said['detail'])) return true;
  if (httpStatusOf(said) !== null) return true;
  if (/^(?:error|fail(?:ed|ure)?)$/i.test(stringOr(said['status']))) return true;
  const hasCode = CODES.some((name) => name in said && !isWell(said[name]));
  return hasWords && (hasCode || isWhole);
}

/** FastAPI's list of what is wrong with a request. */
function isProblems(detail: unknown): detail is readonly unknown[] {
  return Array.isArray(detail) && detail.some((one) => isRecord(one) && 'msg' in one);
}

function isWell(code: unknown): boolean {
  if (typeof code === 'string' || typeof code === 'number') return WELL.test(String(code));
  return true;
}

/** The object that holds the message, the innermost where errors are nested; empty where there is none. */
export function errorObject(said: unknown, depth = 0): ErrorFields {
  const value: unknown = Array.isArray(said) ? said[0] : said;
  if (!isRecord(value)) return {};
  const { error } = value;
  return isRecord(error) && depth < MAX_NESTED ? errorObject(error, depth + 1) : value;
}

/** The code that a server has for an error in a field of its own; null where it has none, or only a number. */
export function codeOf(said: unknown): string | null {
  const found = errorObject(said);
  const codes = CODES.map((name) => found[name]).filter((code) => typeof code === 'string' && code !== '');
  return codes.map(String)[0] ?? null;
}

/** The readable message in an error, wherever the server put it. */
export function wordsOf(said: unknown, depth = 0): string {
  if (typeof said === 'string') return /^\s*</.test(said) ? 'an HTML page' : said;
  if (isProblems(said)) return said.slice(0, MAX_TOLD).map(problemIn).filter(Boolean).join('; ');
  if (Array.isArray(said) && said.length > 0 && depth < MAX_NESTED) return wordsOf(said[0], depth + 1);
  if (isRecord(said)) return wordsIn(said, depth);
  return said === null || said === undefined ? '' : anyWords(said);
}

function wordsIn(said: ErrorFields, depth: number): string {
  const [within] = deeperIn(said);
  if (typeof said['message'] === 'string') {
    const more = within === undefined || depth >= MAX_NESTED ? '' : wordsOf(within, depth + 1);
    return more === '' || said['message'].includes(more)
      ? said['message']
      : `${said['message']} ${more}`.trim();
  }
  const inner = [said['error'], said['errors']].find(isTelling);
  if (inner !== undefined && inner !== true && depth < MAX_NESTED) return wordsOf(inner, depth + 1);
  for (const name of WORDS) {
    const words = said[name];
    if (typeof words === 'string' && words !== '') return words;
    if (typeof words === 'object' && words !== null && depth < MAX_NESTED) return wordsOf(words, depth + 1);
  }
  return anyWords(said);
}

/** The errors that led to an error: Azure's, and those of the provider behind OpenRouter, which comes as text. */
export function deeperIn(said: ErrorFields): readonly unknown[] {
  const { metadata, innererror } = said;
  const raw = isRecord(metadata) ? metadata['raw'] : undefined;
  const found = typeof raw === 'string' ? (parseJson(raw) ?? raw) : raw;
  return [found, innererror].filter(
    (error) => isRecord(error) || (typeof error === 'string' && error !== ''),
  );
}

/** One of FastAPI's problems as a sentence: where it is, and what. */
function problemIn(problem: unknown): string {
  if (!isRecord(problem)) return wordsOf(problem, MAX_NESTED);
  const place = Array.isArray(problem['loc']) ? problem['loc'].map(String).join(' → ') : '';
  const words = stringOr(problem['msg']);
  return place === '' ? words : `${place}: ${words}`;
}

const anyWords = (said: unknown): string => jsonOf(said) ?? 'something nested too deep to be shown';

/** The HTTP status that an error in a stream amounts to: the one in it, or one that its names and words mean. */
export function statusOf(said: unknown): number {
  const inner = errorObject(said);
  const outer = isRecord(said) ? said : {};
  const found = httpStatusOf(inner) ?? httpStatusOf(outer);
  if (found !== null) return found;
  const named = [inner['type'], inner['status'], ...CODES.map((name) => inner[name]), outer['type']];
  const names = named.map(stringOr).join(' ').toLowerCase();
  if (/rate_?limit|quota|too_?many|throttl|resource_?exhausted/.test(names)) return 429;
  if (/auth|permission|api_?key/.test(names)) return 401;
  if (/not_?found/.test(names)) return 404;
  if (/overloaded/.test(names)) return 529;
  if (/unavailable/.test(names)) return 503;
  if (
    /invalid|unsupported|unknown_|bad_?request|failed_?precondition|context_?(?:length|size|window)|content_?policy/.test(
      names,
    )
  )
    return 400;
  if (isProblems(inner['detail'])) return 422;
  const words = wordsOf(said).slice(0, MAX_READ);
  if (/rate.?limit|too many requests|限流|频率/i.test(words)) return 429;
  return namesParameter(inner['param']) || REFUSING.test(words) ? 400 : 500;
}

function namesParameter(param: unknown): boolean {
  return typeof param === 'string' && /^[a-z_]/i.test(param) && !/^(?:none|null)$/i.test(param);
}

function httpStatusOf(said: ErrorFields): number | null {
  for (const name of STATUSES) {
    const status = Number(said[name] ?? Number.NaN);
    if (Number.isInteger(status) && status >= 400 && status <= 599) return status;
  }
  return null;
}
