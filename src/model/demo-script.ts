/**
 * What the demo model answers: a pure function of the request. It looks through the device's camera when it is asked
 * what is there, tells the time by the clock, computes and draws with a program, searches for news, calls any other tool that the
 * question names, looks for the answers to other questions in files, and otherwise says that it is a demo and how to get a real model.
 */
import { demoArguments } from './demo-arguments.ts';
import { demoCode, wantsCode } from './demo-code.ts';
import { isRecord } from '../runs/record.ts';
import { stringOr } from './json.ts';

/** The part of a chat completion request that the demo reads. */
export interface DemoRequest {
  readonly messages: readonly DemoMessage[];
  readonly tools?: readonly DemoTool[] | undefined;
  readonly tool_choice?: unknown;
}

export interface DemoMessage {
  readonly role: string;
  readonly content?: unknown;
}

export interface DemoTool {
  readonly function: { readonly name: string; readonly parameters?: unknown };
}

/** Text, or one tool call. */
export type DemoReply =
  | { readonly content: string }
  | { readonly toolCalls: { readonly name: string; readonly arguments: string }[] };

const LOOK =
  /what(?:'s| is| are)? (?:this|that|these|those|here)\b|(?:what|which)(?: \w+){1,3} (?:is|are) (?:this|that|these|those)\b|what (?:do|can) (?:you|i) see|am i looking at|in front of me|look at (?:this|that)|take a (?:photo|picture)|看看|看一下|看到|看见|看見|[这這那]个?個?[是叫][什甚][么麼]|眼前|面前|前面|拍照|拍一|照片/i;
const TIME =
  /what(?:'s| is)? the time|what time|the time (?:is it|now|in)|what(?:'s| is)? the date|what day|which day|几点|幾點|什么时候|现在时间|現在時間|几号|幾號|星期几|星期幾|日期/i;
const NEWS =
  /\b(?:news|weather|latest|today|tonight|tomorrow|currently|headlines?|forecast|olympics?|scores?|prices?|search|who won)\b|新闻|新聞|天气|天氣|最新|今天|今日|明天|现在|現在|奥运|奧運|表現|表现|搜索|搜尋|查一下|比赛|比賽|股价|股價/i;
const ASKS =
  /[?？][\s"'”’」』)）]*$|^(?:what|when|where|who|whom|whose|which|why|how|is|are|was|were|do|does|did|can|could|may|will|would|should)\b|(?:[吗嗎呢]|什么|什麼|谁|誰|哪|怎么|怎麼|多少|几|幾|为什么|為什麼)/i;
const HAN = /\p{Script=Han}/u;
/** Common characters of traditional Chinese only; a question without any of them is answered in simplified Chinese. */
const TRADITIONAL =
  /[這個們來說時會為對過還沒後麼嗎點幾見裡開間東車書長門問題學國語實現讓從種樣樹請誰給話電腦錢買賣線經總機氣覺聽寫讀愛體驗歡應該當發進無與業動園風飛館魚鳥馬陽陰隊運報聞歷資頭網]/;
/** Words that mean nothing to a search engine. */
const FILLERS = new Set(
  'a an and are at can did do does for from how i in is it me my of on or please show tell that the there this to was what when where which who will with you your'.split(
    ' ',
  ),
);
/** Search wants several keywords; a short question is filled up with these. */
const MORE = {
  en: ['latest', 'news', 'update', 'today', 'report'],
  zh: ['最新', '消息', '新聞', '今日', '報導'],
};
const MIN_KEYWORDS = 5;
const MAX_KEYWORDS = 12;
/** How many characters of a question or a tool's output are quoted. */
const MAX_QUOTE = 240;

/** What the demo model answers to `request`. */
export function demoReply(request: DemoRequest): DemoReply {
  const turn = lastTurn(request.messages);
  const question = turn.question.trim();
  const call = toolFor(request, question, turn.image, turn.outputs.length > 0);
  if (call !== null) return { toolCalls: [call] };
  return { content: isChinese(question) ? chinese(turn, question) : english(turn, question) };
}

/** Whether to answer `request` in Chinese: in the language of the question. */
export function answersInChinese(request: DemoRequest): boolean {
  return isChinese(lastTurn(request.messages).question);
}

interface DemoTurn {
  readonly question: string;
  /** Whether a picture came with the user's messages since the assistant last answered. */
  readonly image: boolean;
  /** The outputs of tools since the user last spoke. */
  readonly outputs: readonly string[];
}

function lastTurn(messages: readonly DemoMessage[]): DemoTurn {
  const lastUser = messages.findLastIndex(({ role }) => role === 'user');
  const lastAnswer = messages.findLastIndex(({ role }, index) => role === 'assistant' && index < lastUser);
  const said = messages.slice(lastAnswer + 1, lastUser + 1).filter(({ role }) => role === 'user');
  const asked = messages
    .slice(0, lastUser + 1)
    .findLast((message) => message.role === 'user' && textOf(message) !== '');
  const outputs = messages.slice(lastUser + 1).filter(({ role }) => role === 'tool');
  return {
    question: asked === undefined ? '' : textOf(asked),
    image: said.some(hasImage),
    outputs: outputs.map(textOf),
  };
}

function toolFor(
  { tools: declared = [], tool_choice }: DemoRequest,
  question: string,
  image: boolean,
  answered: boolean,
) {
  // The demo model writes JSON, so it leaves custom tools alone.
  const tools = declared.filter((tool) => isRecord(tool.function));
  if (answered || tools.length === 0 || tool_choice === 'none') return null;
  const named = (name: string): DemoTool | undefined => tools.find((tool) => tool.function.name === name);
  const tool =
    (LOOK.test(question) && !image ? named('take_a_photo') : undefined) ??
    // Before the news, because “now” and “today” match both.
    (TIME.test(question) ? named('clock') : undefined) ??
    (wantsCode(question) ? named('code_interpreter') : undefined) ??
    (NEWS.test(question) ? named('SEARCH') : undefined) ??
    tools.find(({ function: { name } }) => isNamed(name, question)) ??
    demanded(tool_choice, tools) ??
    (ASKS.test(question) ? named('file_search') : undefined);
  if (tool === undefined) return null;
  const { name, parameters } = tool.function;
  return { name, arguments: argumentsFor(name, parameters, question) };
}

function argumentsFor(name: string, parameters: unknown, question: string): string {
  if (name === 'SEARCH') return search(question);
  if (name === 'code_interpreter') return JSON.stringify({ code: demoCode(question) });
  return JSON.stringify(demoArguments(parameters, question));
}

/**
 * Whether the question has every word of a tool's name: “Roll the dice” names `roll_dice`. Nobody says the “get” of
 * `get_weather`, the tool of most first programs.
 */
function isNamed(name: string, question: string): boolean {
  const said = question.toLowerCase();
  const words = name
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '' && word !== 'get');
  return words.length > 0 && words.every((word) => said.includes(word));
}

/** The tool that `tool_choice` demands. */
function demanded(choice: unknown, tools: readonly DemoTool[]): DemoTool | undefined {
  if (choice === 'required') return tools[0];
  const named = isRecord(choice) && isRecord(choice['function']) ? choice['function']['name'] : undefined;
  return tools.find((tool) => tool.function.name === named);
}

function search(question: string): string {
  const language = isChinese(question) ? 'zh' : 'en';
  const words = [...new Intl.Segmenter(language, { granularity: 'word' }).segment(question)]
    .filter(({ isWordLike, segment }) => isWordLike === true && !FILLERS.has(segment.toLowerCase()))
    .map(({ segment }) => segment);
  const keywords = new Set(words.slice(0, MAX_KEYWORDS));
  for (const word of MORE[language]) if (keywords.size < MIN_KEYWORDS) keywords.add(word);
  const query = { q: [...keywords].join(' '), mkt: language === 'zh' ? 'zh-TW' : 'en-US' };
  return JSON.stringify({ query, topk: '3' });
}

function english({ image, outputs }: DemoTurn, question: string): string {
  if (outputs.length > 0)
    return `Here is what the tool found: “${quote(outputs)}”. (I am Longrun's demo model.)`;
  if (image) {
    return 'I received your picture. I am only Longrun’s demo model and cannot see what is on it; set OPENAI_BASE_URL to a model with vision and ask again.';
  }
  return `I am Longrun's demo model. You said: “${quote([question])}”. To talk to a real model, set OPENAI_BASE_URL and OPENAI_API_KEY and start Longrun again.`;
}

function chinese({ image, outputs }: DemoTurn, question: string): string {
  return TRADITIONAL.test(question)
    ? traditional(image, outputs, question)
    : simplified(image, outputs, question);
}

function simplified(image: boolean, outputs: readonly string[], question: string): string {
  if (outputs.length > 0) return `工具的结果是：“${quote(outputs)}”。（我是 Longrun 的演示模型。）`;
  if (image) {
    return '我收到了你的图片。我只是 Longrun 的演示模型，看不懂图片；请把 OPENAI_BASE_URL 设为支持视觉的模型再问一次。';
  }
  return `我是 Longrun 的演示模型。你说：“${quote([question])}”。要使用真正的模型，请设置 OPENAI_BASE_URL 和 OPENAI_API_KEY，然后重新启动 Longrun。`;
}

function traditional(image: boolean, outputs: readonly string[], question: string): string {
  if (outputs.length > 0) return `工具的結果是：「${quote(outputs)}」。（我是 Longrun 的演示模型。）`;
  if (image) {
    return '我收到了你的圖片。我只是 Longrun 的演示模型，看不懂圖片；請把 OPENAI_BASE_URL 設為支援視覺的模型再問一次。';
  }
  return `我是 Longrun 的演示模型。你說：「${quote([question])}」。要使用真正的模型，請設定 OPENAI_BASE_URL 和 OPENAI_API_KEY，然後重新啟動 Longrun。`;
}

function quote(texts: readonly string[]): string {
  const text = texts.join(' ').replaceAll(/\s+/g, ' ').trim();
  // Does not cut an emoji in half.
  return text.length > MAX_QUOTE ? `${text.slice(0, MAX_QUOTE).replace(/[\uD800-\uDBFF]$/, '')}…` : text;
}

function isChinese(text: string): boolean {
  return HAN.test(text);
}

function textOf({ content }: DemoMessage): string {
  if (!Array.isArray(content)) return stringOr(content);
  return content
    .map((part: unknown) => (isRecord(part) ? stringOr(part['text']) : ''))
    .join(' ')
    .trim();
}

function hasImage({ content }: DemoMessage): boolean {
  return (
    Array.isArray(content) && content.some((part: unknown) => isRecord(part) && part['type'] === 'image_url')
  );
}
