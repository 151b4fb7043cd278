/**
 * What a refusal teaches about a model server: which fields it does not know, and which messages, pictures or tools it
 * does not take. Bad values teach nothing: those are the caller's mistakes. Pure.
 */
import { clausesOf, type Clause } from './clauses.ts';
import type { UpstreamRefusal } from './failure.ts';
import { isRecord } from '../runs/record.ts';
import { showsPicture, type KnownSettings } from './request.ts';
import { fieldsOf, isAbout, type SentBody } from './sent-fields.ts';

/** What is different from now on. */
export type Lesson = Pick<
  KnownSettings,
  | 'maxTokensField'
  | 'systemRole'
  | 'thoughts'
  | 'signatures'
  | 'images'
  | 'tools'
  | 'contextTokens'
  | 'refused'
>;

/** Words that refuse a field beside another one only: alone it may be taken. */
const CONDITIONAL =
  /cannot both|mutually exclusive|only one of|combination of|combined with|together with|at the same time|\bwhen [`'"]?[\w.]+[`'"]? (?:is|are) (?:set|specified|provided|given|enabled|used)|不能同时/i;

/** Whether a refusal says something of this request, and nothing of the next one. */
export function isConditional({ words }: Pick<UpstreamRefusal, 'words'>): boolean {
  return CONDITIONAL.test(words);
}

/** Statuses of refusals. Some servers and gateways answer 500 or 404 to what they do not support. */
const REFUSING: ReadonlySet<number> = new Set([400, 404, 415, 422, 500, 501]);

/** Words about something that a server does not know or take. */
const STRONG =
  /unsupported|not (?:currently |yet |being |an? )?(?:be )?(?:supported|permitted|enabled|implemented)|(?:does|do|is|are|did|can)(?: not|n['’]?t)(?: currently| yet)? support|extra (?:inputs?|fields?|keys?|parameters?)|unrecogni[sz]ed|unknown (?:parameter|field|argument|name|key|property|option|request)|unexpected (?:keyword|parameter|field|argument|propert|key)|cannot find field|no endpoints found|extraneous|不支持|(?:不被|不受|未被)[^，。,]{0,12}支持/i;
const WEAK =
  /unknown|unexpected|(?:\bnot|n['’]t) (?:be |an? |been )?(?:\w+ )?(?:allowed|accepted|available|known|valid|defined|recogni[sz]ed|understood|used|implemented|enabled|permitted)|unrecogni[sz]ed|reject(?:s|ed)|no (?:such )?(?:parameter|argument|field|option)|(?:un|not )permitted|illegal (?:parameter|argument|field|key|option)|disabled|no longer|deprecated|retired|removed|additional propert|forbidden|disallowed|prohibited|invalid (?:parameter|argument|field|key|property|option|name)|(?:does|do)(?: not|n['’]?t) (?:accept|exist|understand|recogni[sz]e|allow|know|take|have)|cannot be (?:used|specified|set|changed|combined)|incompatible|cannot both|mutually exclusive|only one of|不允许|未知|(?:无效|非法)的?(?:参数|字段)|无法识别|多余|(?:已|被)(?:废弃|弃用|移除)|请(?:移除|去掉|删除)/i;
/** Words about the value of a field that the server knows. */
const VALUE =
  /(?:unsupported|invalid|unexpected|unknown|illegal|not allowed) (?:value|variant|enum|literal)|invalid (?:key|type|entry|item|format|length)s? (?:in|for|of)\b|supported values|must be (?!satisfied)|should be|(?:greater|less|more|fewer|larger|smaller|higher|lower) than|at (?:most|least)|maximum|minimum|out of range|between \S+ and|expected (?:a|an|one)\b|too (?:large|small|long|short|many|high|low)|exceeds?\b|取值|范围|超[出过]|大于|小于|不能为|必须(?:为|是|在)|应[该当]?(?:为|是|在)/i;
/** A value other than the default is refused, so nothing can be said in that field. */
const ONLY_DEFAULT =
  /only (?:the )?default|only (?:\w+ ?= ?)?[\d.]+ (?:is|are) (?:supported|allowed|accepted|valid)|only be (?:set to )?1\b|must (?:be|equal) (?:set to )?1(?:\.0)?(?![\d.]| or)|must be (?:omitted|removed|unset|left out|absent|null)/i;
const EXCLUSIVE = /\bboth\b|mutually exclusive|only one of|combined|together|at the same time|simultaneous/i;

/** The request would mean something else without these; the caller is told instead. */
const MEANT =
  /^(?:model|messages|stream|tools|response_format|n|logprobs|top_logprobs|functions|function_call|modalities|audio|grammar|json_schema|structured_outputs|guided_\w+)$/;
const CAPS = ['max_tokens', 'max_completion_tokens'] as const;
const THOUGHTS = /^messages\.(?:reasoning\w*|thinking\w*)$/;
/** Names of fields as the log and `/v1/models` may show them. */
const SHOWABLE = /^[\w.-]{1,64}$/;

/** Null where the refusal teaches nothing that could be done about this request. */
export function lessonIn(refusal: UpstreamRefusal, body: SentBody, settings: KnownSettings): Lesson | null {
  if (!REFUSING.has(refusal.status)) return null;
  const clauses = clausesOf(refusal);
  const text = clauses.map((clause) => clause.text).join('\n');
  return (
    aboutThoughts(text, settings) ??
    aboutFields(refusal, clauses, body, settings) ??
    aboutPictures(clauses, body) ??
    aboutSystem(text, body, settings) ??
    aboutTools(clauses, body, settings)
  );
}

/** What two readings of a refusal both teach, beside what is known. */
export function commonOf(one: Lesson, other: Lesson, { refused: known = [] }: KnownSettings): Lesson {
  const fields = (one.refused ?? []).filter(
    (field) => other.refused?.includes(field) && !known.includes(field),
  );
  const { refused: _fields, ...rest } = one;
  const same = Object.entries(rest).filter(([name, value]) =>
    Object.entries(other).some((entry) => entry[0] === name && entry[1] === value),
  );
  return { ...Object.fromEntries(same), ...(fields.length > 0 && { refused: fields }) };
}

/** Thinking models want back what they thought before a call, or a sign that they thought. */
function aboutThoughts(text: string, { thoughts, signatures }: KnownSettings): Lesson | null {
  const isMissed = /\bmiss|must|requir|expect|need/i.test(text);
  if (!isMissed) return null;
  if (/thought_?\s?signature/i.test(text)) return signatures === 'fill' ? null : { signatures: 'fill' };
  const isThought = /reasoning_content|reasoning content|\bthinking (?:block|content)/i.test(text);
  return isThought && !STRONG.test(text) && thoughts !== 'fill' ? { thoughts: 'fill' } : null;
}

function aboutFields(
  { status, code }: UpstreamRefusal,
  clauses: readonly Clause[],
  body: SentBody,
  settings: KnownSettings,
): Lesson | null {
  const isOnlyDefault = clauses.some(({ text }) => ONLY_DEFAULT.test(text));
  const refuses = (clause: Clause): boolean => {
    const { text } = withoutOthers(clause);
    if (VALUE.test(text) && !isOnlyDefault) return false;
    const isNamedByCode = /^(?:unsupported|unknown|unrecognized)_(?:parameter|field|argument)$/.test(
      code ?? '',
    );
    return (
      isNamedByCode ||
      isOnlyDefault ||
      STRONG.test(text) ||
      (status < 500 && status !== 404 && WEAK.test(text))
    );
  };
  const all = fieldsOf(body);
  const fields = all.filter((field) => mayGo(field, body));
  const found = new Set<string>();
  for (const refusing of clauses.filter(refuses)) {
    const clause = withoutOthers(refusing);
    const named = fields.filter((field) => isAbout(clause, field, all));
    // Of fields that exclude each other, one may stay.
    const gone = EXCLUSIVE.test(clause.text) && named.length > 1 ? named.filter(isSecond) : named;
    for (const field of gone) found.add(field);
  }
  if (found.size === 0 && clauses.some(refuses)) {
    // The complaint and the name may stand in two sentences.
    const whole: Clause = { text: clauses.map(({ text }) => text).join(' '), place: null };
    const named = fields.filter((field) => isAbout(whole, field, all));
    if (named.length === 1 && !VALUE.test(whole.text)) found.add(named[0] ?? '');
    if (named.length === 0) for (const field of meantIn(clauses.filter(refuses), fields)) found.add(field);
  }
  if (found.size === 0 && (status === 400 || status === 422))
    for (const field of merelyNamed(clauses, body, fields, all)) found.add(field);
  return found.size === 0 ? null : learned([...found], settings);
}

/** Words about what a field holds, or about something else than the field. */
const HELD =
  /\b(?:values?|expected|bounds?|range|limits?|must|should|invalid|illegal|wrong|incorrect|malformed|numbers?|integers?|floats?|strings?|arrays?|lists?|types?|format|fit|cannot be \d|one of|missing|required?s?)\b|值|类型|格式|错误|有误|不正确|不合法|非法|缺少/i;
/** Who asks is no matter of taste, and a cap is part of what is too long. */
const NEVER_MERELY = /^(?:user|metadata|safety_identifier|max_tokens|max_completion_tokens)$/;

/**
 * Fields that the server names for a reason in words of its own: it does not want them, if nothing is said about what
 * they hold. The next try will show.
 */
function merelyNamed(
  clauses: readonly Clause[],
  body: SentBody,
  fields: readonly string[],
  all: readonly string[],
): readonly string[] {
  const complaints = clauses.filter(({ text }) => !VALUE.test(text) && !HELD.test(text));
  return fields.filter(
    (field) =>
      !NEVER_MERELY.test(field) &&
      complaints.some((clause) => isAbout(clause, field, all) && !repeats(clause.text, body[field])),
  );
}

/** Whether the words have the value that was sent. */
function repeats(text: string, value: unknown): boolean {
  if (typeof value !== 'string' && typeof value !== 'number') return false;
  return text.split(/[^\p{L}\p{N}._-]+/u).some((word) => word.replace(/\.$/, '') === String(value));
}

/** Names that a server lists beside the refused one, of fields that it knows. */
const OTHERS =
  /[^\w'"`]*\b(?:(?:expected|must be) one of|\d+ known propert|did you mean|(?:allowed|valid|supported|accepted|available|permitted|known) (?:fields|keys|param(?:eter)?s|propert\w+|arguments|options|names)(?: are| is| include|:))[^]*$/i;

function withoutOthers({ text, place }: Clause): Clause {
  const head = text.replace(OTHERS, '');
  return STRONG.test(head) ? { text: head, place } : { text, place };
}

/** What servers call a family of fields where they name none of them. */
const MEANINGS: readonly (readonly [RegExp, RegExp])[] = [
  [
    /\b(?:reasoning|thinking)\b|思考|推理/i,
    /^(?:reasoning|reasoning_effort|thinking|think|enable_thinking)$/,
  ],
  [/\bpenalt(?:y|ies)\b|惩罚/i, /^\w+_penalty$/],
  [/\bparallel (?:function|tool)/i, /^parallel_tool_calls$/],
];

function meantIn(clauses: readonly Clause[], fields: readonly string[]): readonly string[] {
  const meant = MEANINGS.filter(([words]) => clauses.some(({ text }) => words.test(text)));
  return fields.filter((field) => meant.some(([, names]) => names.test(field)));
}

const isSecond = (field: string, index: number, named: readonly string[]): boolean =>
  named.includes('temperature') ? field !== 'temperature' : index > 0;

/** Whether the request means the same without the field, or nearly so. */
function mayGo(field: string, { tool_choice: choice }: SentBody): boolean {
  if (!SHOWABLE.test(field) || MEANT.test(field)) return false;
  return field !== 'tool_choice' || choice === 'none' || choice === 'auto';
}

function learned(fields: readonly string[], { refused = [], thoughts }: KnownSettings): Lesson | null {
  const cap = CAPS.find((name) => fields.includes(name));
  const other = CAPS.find((name) => name !== cap);
  // A cap is never dropped: a model could talk for ever.
  const isCapLost = cap !== undefined && other !== undefined && refused.includes(other);
  const isThought = fields.some((field) => THOUGHTS.test(field)) && thoughts !== 'drop';
  const gone = fields.filter(
    (field) => !(isCapLost && field === cap) && !(isThought && THOUGHTS.test(field)),
  );
  if (gone.length === 0 && !isThought) return null;
  return {
    ...(gone.length > 0 && { refused: [...new Set([...refused, ...gone])] }),
    ...(cap !== undefined && !isCapLost && { maxTokensField: other }),
    ...(isThought && { thoughts: 'drop' }),
  };
}

const PICTURE =
  /\bimages?\b|\bmodalit(?:y|ies)\b|image_url|\bpictures?\b|\bvision\b|\bvisual\b|multi-?modal|图[片像]|多模态|视觉/i;
/** A picture that cannot be read is its sender's mistake. */
const BAD_PICTURE =
  /format|media.?type|mime|\bsize|too (?:large|big|small)|download|fetch|decode|corrupt|resolution|dimension|base64|scheme|invalid (?:image|picture)|could not (?:process|load|read|open)|identify|broken|格式|[过太]大|大小|下载|解码|损坏|尺寸|分辨率/i;
/** Words that say of a model, and not of a picture, that it does not see. */
const BLIND =
  /\b(?:no|lacks?|without|missing)\b.{0,20}\bvision\b|\bvision\b.{0,30}\b(?:not|off|disabled|unavailable|required)\b|[仅只]支持(?:纯)?文本|\bonly (?:plain )?text\b|\bunsupported content\b.{0,4}\btype\b/i;
const ONLY_STRING =
  /\bcontent\b.{0,40}(?:must be a|expected(?: a)?|should be a(?: valid)?|must be a plain) string|\bcontent\b.{0,10}(?:只能|必须|应)(?:为|是)字符串/i;
const NO_PICTURES =
  /not a (?:multi-?modal|vision)|text[- ]only|only (?:accepts?|supports?|takes?|text)|unknown variant|expected [`'"]?(?:text|string)|at most 0|0 images?|not (?:able|capable)|cannot (?:process|see|handle|read|take|accept)|\bnot (?:allowed|accepted|available|enabled|in supported|loaded)|unavailable|disabled|reject|没有|无法|未开|no (?:image|vision)|only supported by|required for image|invalid (?:value|type|content)[^.]{0,20}['"`]image_url['"`](?! ?:)/i;

function aboutPictures(clauses: readonly Clause[], body: SentBody): Lesson | null {
  if (!showsPicture(body['messages'])) return null;
  const isAboutThem = (text: string): boolean =>
    BLIND.test(text) ||
    ONLY_STRING.test(text) ||
    (PICTURE.test(text) && !BAD_PICTURE.test(text) && (STRONG.test(text) || NO_PICTURES.test(text)));
  return shortTexts(clauses).some(isAboutThem) ? { images: false } : null;
}

/** What the clauses say, one by one, and all together where that is not much. */
function shortTexts(clauses: readonly Clause[]): readonly string[] {
  const texts = clauses.map(({ text }) => text);
  const whole = texts.join(' ');
  return whole.length <= MAX_SHORT ? [...texts, whole] : texts;
}

const MAX_SHORT = 200;

const SYSTEM =
  /\bsystem(?:'|"|`)?[ _](?:role|message|prompt|instruction)s?\b|role.{0,40}\bsystem\b|\bsystem\b.{0,40}\brole|角色.{0,20}system|system.{0,8}(?:角色|消息|提示)/i;
/** Which roles there are, or in which order, without a word about the system's. */
const OTHER_ROLES =
  /\broles?\b[^]{0,120}\buser\b|\buser\b[^]{0,60}\broles?\b|角色[^]{0,40}\buser\b|\buser\b[^]{0,20}角色/i;
const DEVELOPER = /\bdeveloper\b/i;

function aboutSystem(text: string, { messages }: SentBody, settings: KnownSettings): Lesson | null {
  const { systemRole = 'system' } = settings;
  const roles = Array.isArray(messages)
    ? messages.map((message: unknown) => (isRecord(message) ? message['role'] : null))
    : [];
  if (systemRole === 'none' || !roles.some((role) => role === 'system' || role === 'developer')) return null;
  const isUnknown =
    STRONG.test(text) ||
    WEAK.test(text) ||
    /invalid|one of|should be|must|alternat|expect|\bonly\b|\bgot\b|不|必须/i.test(text);
  if (DEVELOPER.test(text) && isUnknown && systemRole === 'developer') return { systemRole: 'system' };
  // Google calls them so, and has models without.
  if (DEVELOPER.test(text) && /instruction/i.test(text) && isUnknown) return { systemRole: 'none' };
  // The messages alternate, beginning with the user's: a template that still complains counts the system's.
  if (!/\b(?:system|developer)\b/i.test(text))
    return isUnknown && OTHER_ROLES.test(text) ? { systemRole: 'none' } : null;
  if (!SYSTEM.test(text)) return null;
  const isMisplaced = /beginning|\bfirst\b|\bstart|only one|multiple|more than one|position|leading/i.test(
    text,
  );
  if (isMisplaced) return { systemRole: systemRole === 'first' ? 'none' : 'first' };
  return isUnknown ? { systemRole: 'none' } : null;
}

const TOOLS =
  /(?<!parallel[ _-])\b(?:tools?|functions?)\b(?:[ _-]?(?:use|usage|calls?|calling))?|tool_calls?\b|工具|函数调用/i;
const NO_TOOLS =
  /--(?:enable-auto-tool-choice|tool-call-parser|jinja)|tools?\b.{0,60}\bparser\b|no endpoints found that support tool|(?:cannot|can['’]?t|unable to) (?:use|call|handle|take|accept) (?:any )?(?:tools|functions)|\b(?:no|lacks?|not have|n['’]t have|not trained for|not been trained for|without)(?: (?:the|any))? ['"`]?(?:tool|function)s?[ -]?(?:call|use|support)|(?:tools?|functions?)(?: call(?:s|ing)| use)? (?:(?:is|are|has been|have been) )?(?:disabled|unavailable|turned off)|\b(?:tools|functions) cannot be used/i;
/** Not the tools, but something about them. */
const ABOUT_TOOLS =
  /parallel|strict|tool_choice|tool choice|tool_call_id|schema|description|\bname\b|keyword|tools?[.[]\S*(?:function|parameters)|too many|(?:unknown|undefined|no such) (?:tool|function)|not found|(?:tool|function) type|type of (?:tool|function)/i;

function aboutTools(clauses: readonly Clause[], body: SentBody, { tools }: KnownSettings): Lesson | null {
  const hasCalls =
    Array.isArray(body['messages']) &&
    body['messages'].some((message: unknown) => isRecord(message) && message['role'] === 'tool');
  if (body['tools'] === undefined && (tools === false || !hasCalls)) return null;
  const isAboutThem = ({ text }: Clause): boolean =>
    NO_TOOLS.test(text) ||
    (TOOLS.test(text) &&
      !ABOUT_TOOLS.test(text) &&
      (STRONG.test(text) || /not (?:allowed|available|accepted)|reject|unknown|不|未|没有/i.test(text)));
  return clauses.some(isAboutThem) ? { tools: false } : null;
}
