/**
 * Refusals of a prompt that is longer than the model's context: whether an error is one, and which figures it tells. The
 * words differ from server to server, so they are read for what they have in common: something that is counted in
 * tokens, or that is called prompt, input or context, is too long for a limit.
 */
import type { Overflow } from '../runs/model.ts';
import { isRecord } from '../runs/record.ts';
import { countOf } from './json.ts';
import { codeOf, errorObject, wordsOf } from './said-errors.ts';

/** The words of a long error that are read. */
const MAX_READ = 2_000;
/** A smaller number is no size of a context; it may be a count of messages, or part of a name. */
const MIN_TOKENS = 16;

/** The statuses of such refusals: of the request, or of a server that did not expect it. */
const STATUSES: ReadonlySet<number> = new Set([400, 413, 422, 500]);

const CODE =
  /context_?(?:length|size|window|limit)|(?:prompt|input|request|string|tokens?|messages?)_?(?:is_?)?(?:too_?(?:long|large)|above_max_length)/i;

/** What is too long. */
const SUBJECT =
  /\b(?:tokens?|context|window|conversation|prompt|input (?:length|tokens?|characters|sequence|is|text)|messages? (?:total )?length|inputs?\b.{0,20}\btokens?|n_ctx)\b|上下文|输入|提示词?|对话|长度|token/i;
/** That it is. */
const EXCESS =
  /exceed|too (?:long|large|many|big)|(?:longer|greater|larger|bigger|more) than|over (?:the|its|your) [\d,]+|not enough context|is only \d|over(?:flow| the limit|size)|does(?:n['’]t| not) fit|maximum (?:context|input|prompt|sequence|number of tokens|length)|max(?:imum)? (?:model )?(?:context|len)|context (?:length|window|size) (?:is|of)|(?:less|fewer) than|at most|must be <=|reduce the (?:length|size)|(?:should|must) be (?:in )?\[|only supports? up to|max(?:imum)? input (?:characters|tokens)|超过|超出|超长|过长|过大|太长|上限|最大/i;
/** Sentences about something else that is counted in tokens, or bounded: a parameter, or what may be used in a minute. */
const OTHER =
  /tokens? per (?:min|day|hour|sec)|\bTPM\b|\bTPD\b|quota|at most \d[\d,]* completion tokens|supports? (?:only )?(?:up to |at most )?\d[\d,]* (?:completion|output) tokens/i;
/** What providers say of a request that no waiting would make small enough. */
const TOO_LARGE = /request (?:is )?too large/i;
/** Names of parameters, which are not what is too long. */
const PARAMETERS = /\b(?:max_(?:completion_|new_|output_)?tokens|temperature|top_[pk]|\w+_penalty)\b/gi;
const ABOUT_PROMPT = /context|prompt|input|messages|上下文|输入|提示/i;

const NUMBER = String.raw`(\d[\d,_]*)`;
/** Where the limit stands. */
const LIMITS: readonly RegExp[] = [
  `tokens? ?(?:>|>=) ?${NUMBER}`,
  `\\+ ?\\d[\\d,_]* ?> ?${NUMBER}`,
  String.raw`\[ ?\d+ ?, ?${NUMBER} ?\]`,
  `(?:<=|≤) ?${NUMBER}`,
  `less than ${NUMBER}`,
  String.raw`context (?:length|window|size|limit)[^\d.]{0,40}?${NUMBER}`,
  `(?:maximum|max|context|limit|only|at most|allowed|available|cannot exceed|up to|n_ctx|最大|上限|限制)[^\\d.]{0,60}?${NUMBER}`,
  `${NUMBER}(?: tokens?)? (?:maximum|context|limit|allowed)`,
].map((source) => new RegExp(source, 'i'));
/** Where the size of the prompt stands. */
const SIZES: readonly RegExp[] = [
  `${NUMBER}(?: tokens)? (?:in|from|for) (?:the |your )?(?:input|prompt|messages)`,
  `${NUMBER} ?(?:\`inputs\`|input|prompt) tokens`,
  `(?:input|prompt|request)\\w*(?: token count| length| has| contains| is)?(?: of)? ?[(:]? ?${NUMBER} ?(?:tokens|\\)|>|\\+)`,
  `token count is ${NUMBER}`,
  `too long:? ${NUMBER}`,
  `(?:input|prompt)\\w* (?:length |size )?(?:of )?${NUMBER}`,
  `limit: ?${NUMBER} ?\\+`,
  `(?:requested|request(?:ed)? tokens|passed|contains|received|given|got|has|resulted in|first|of|实际|当前|请求)[^\\d.]{0,30}?${NUMBER}`,
].map((source) => new RegExp(source, 'i'));

/** The size is what was read of the prompt, not all of it. */
const UNCOUNTED = /\bat least \d[\d,_]* (?:input )?tokens|至少 ?\d/i;

/** The overflow that an error tells of, with the figures that are in it; null where it is about something else. */
export function overflowIn(status: number, said: unknown): Overflow | null {
  const found = errorObject(said);
  // llama.cpp
  const fields = {
    limitTokens: countOf(found['n_ctx']) || null,
    askedTokens: countOf(found['n_prompt_tokens']) || null,
  };
  const words = wordsOf(said).slice(0, MAX_READ);
  const names = `${codeOf(said) ?? ''} ${nameIn(found)}`;
  const isTooLarge = TOO_LARGE.test(words) && SUBJECT.test(words);
  if (status === 429 ? !isTooLarge : !STATUSES.has(status)) return null;
  if (fields.limitTokens !== null && fields.askedTokens !== null) return fields;
  if (!isTooLarge && !isAbout(words, names)) return null;
  if (/string_above_max_length/i.test(names)) return { limitTokens: null, askedTokens: null };
  return figuresIn(words, fields);
}

/** Whether words or names are about a prompt that is too long. */
function isAbout(words: string, names: string): boolean {
  if (CODE.test(names)) return !/string_above/i.test(names) || ABOUT_PROMPT.test(words);
  if (OTHER.test(words)) return false;
  const hasParameter = new RegExp(PARAMETERS.source, 'i').test(words);
  const rest = words.replaceAll(PARAMETERS, '');
  return SUBJECT.test(rest) && EXCESS.test(rest) && (!hasParameter || ABOUT_PROMPT.test(rest));
}

function nameIn(found: unknown): string {
  return isRecord(found) && typeof found['type'] === 'string' ? found['type'] : '';
}

function figuresIn(words: string, known: Overflow): Overflow {
  const limitTokens = known.limitTokens ?? first(LIMITS, words, () => true);
  const askedTokens =
    known.askedTokens ?? first(SIZES, words, (value) => limitTokens === null || value !== limitTokens);
  // A size below the limit is what the prompt has without the answer, and only sensible where both are told. vLLM stops
  // to count where the limit is passed.
  const isCounted = limitTokens !== null && !UNCOUNTED.test(words);
  return { limitTokens, askedTokens: isCounted ? askedTokens : null };
}

/** The number that the first of the patterns finds. */
function first(patterns: readonly RegExp[], words: string, fits: (value: number) => boolean): number | null {
  for (const pattern of patterns) {
    for (const match of words.matchAll(new RegExp(pattern.source, 'gi'))) {
      const value = Number((match[1] ?? '').replaceAll(/[,_]/g, ''));
      if (value >= MIN_TOKENS && fits(value)) return value;
    }
  }
  return null;
}
