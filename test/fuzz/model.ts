/** A model that answers what nobody should: the last words of the user, `model: NAME`, say how. Other words are echoed. */
import {
  calls,
  finish,
  refuses,
  says,
  text,
  type Script,
  type Step,
  type UpstreamRequest,
} from '../support/upstream.ts';

const line = (data: unknown): Step => ({ type: 'line', line: `data: ${JSON.stringify(data)}` });
const raw = (words: string): Step => ({ type: 'line', line: words });
const delta = (fields: unknown, more: object = {}): Step =>
  line({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta: fields }], ...more });
const call = (fields: object): Step => delta({ tool_calls: [fields] });
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

/** Deeper than any parser of ours may go without a limit. */
const DEEP = 20_000;
const LONG = 200_000;
const MANY = 200;

/** How the model behaves, by name. */
export const MODELS: Readonly<Record<string, () => Script>> = {
  calls: () => calls([{ name: 'look_up', arguments: { query: 'a' } }]),
  'calls twice': () =>
    calls([
      { name: 'look_up', arguments: {} },
      { name: 'clock', arguments: {} },
    ]),
  'calls ours': () => calls([{ name: 'SEARCH', arguments: { query: 'a thing' } }]),
  'calls undeclared': () => calls([{ name: 'nobody_declared_this', arguments: {} }]),
  'calls many': () => calls(Array.from({ length: MANY }, () => ({ name: 'look_up', arguments: {} }))),
  'deep arguments': () => calls([{ name: 'fetch_page', arguments: deep(DEEP) }]),
  'deep search': () => calls([{ name: 'SEARCH', arguments: `{"query":${deep(DEEP)}}` }]),
  'long arguments': () => calls([{ name: 'look_up', arguments: { query: 'x'.repeat(LONG) } }]),
  'broken arguments': () => calls([{ name: 'clock', arguments: '{"zone": "Asia/' }]),
  'arguments of __proto__': () => calls([{ name: 'clock', arguments: '{"__proto__":{"a":1}}' }]),
  searches: () => calls([{ name: 'file_search', arguments: { queries: ['hello', '"', 'a* NEAR('] } }]),
  'searches deep': () => calls([{ name: 'file_search', arguments: deep(DEEP) }]),
  'writes code': () => calls([{ name: 'code_interpreter', arguments: { code: 'print(6 * 7)' } }]),
  'cites oddly': () => [text('So【0:'), text('0†a】【1e9:9†'), text('】【'), finish('stop')],
  'nameless call': () => [
    call({ index: 0, id: 'call_1', type: 'function', function: {} }),
    finish('tool_calls'),
  ],
  'call without id': () => [
    call({ index: 0, function: { name: 'look_up', arguments: '{}' } }),
    finish('tool_calls'),
  ],
  'call far off': () => [
    call({ index: 1e9, id: 'c', function: { name: 'look_up', arguments: '' } }),
    finish('stop'),
  ],
  'call below zero': () => [
    call({ index: -1, id: 'c', function: { name: 'look_up', arguments: '{}' } }),
    finish('stop'),
  ],
  'calls no list': () => [
    delta({ tool_calls: { a: 1 } }),
    delta({ tool_calls: [null, 1, 'x'] }),
    finish('stop'),
  ],
  'finish without calls': () => [finish('tool_calls')],
  'unknown finish': () => [
    text('So'),
    delta({}, { choices: [{ index: 0, delta: {}, finish_reason: 'because' }] }),
  ],
  'cut by length': () => [text('So'), finish('length')],
  filtered: () => [text('So'), finish('content_filter')],
  'no finish': () => [text('So')],
  nothing: () => [],
  'no JSON': () => [raw('data: {"choices": [')],
  'other JSON': () => [
    raw('data: null'),
    raw('data: []'),
    raw('data: 1'),
    raw('data: "x"'),
    text('So'),
    finish('stop'),
  ],
  'odd choices': () => [
    line({ choices: 'x' }),
    line({ choices: null }),
    line({ choices: [null] }),
    finish('stop'),
  ],
  'odd content': () => [
    delta({ content: 1 }),
    delta({ content: { a: 1 } }),
    delta({ content: [1] }),
    finish('stop'),
  ],
  'odd role': () => [delta({ role: 7, content: 'So' }), delta(null), delta('x'), finish('stop')],
  'odd usage': () => [
    text('So'),
    line({ choices: [], usage: { prompt_tokens: 'x', total_tokens: -1e308 } }),
    finish('stop'),
  ],
  'error inside': () => [text('So'), line({ error: { message: 'It broke.', code: 500 } })],
  'error event': () => [raw('event: error\ndata: {"message":"It broke."}')],
  'half a pair': () => [
    raw(String.raw`data: {"choices":[{"index":0,"delta":{"content":"\ud83d"}}]}`),
    finish('stop'),
  ],
  'zero character': () => [text('a\u0000b\u2028\u2029'), finish('stop')],
  'long word': () => [text('x'.repeat(LONG)), finish('stop')],
  'many words': () => [...Array.from({ length: MANY }, () => text('word ')), finish('stop')],
  thinks: () => [delta({ reasoning_content: 'Hm.' }), text('So'), finish('stop')],
  'deep chunk': () => [
    raw(`data: {"choices":[{"index":0,"delta":{"content":${deep(DEEP)}}}]}`),
    finish('stop'),
  ],
  'breaks early': () => [{ type: 'break' }],
  'breaks late': () => [text('So'), { type: 'break' }],
  stalls: () => [text('So'), { type: 'stall' }],
  'refuses 400': () => refuses(400, 'I will not.'),
  'refuses 401': () => refuses(401, 'Who are you?'),
  'refuses 404': () => refuses(404, 'There is no such model.'),
  'refuses 429': () => refuses(429, 'Later.', { 'retry-after': '1' }),
  'refuses 500': () => refuses(500, 'It broke.'),
  'refuses oddly': () => [{ type: 'refusal', status: 418, headers: {}, body: deep(60) }],
  redirects: () => [{ type: 'refusal', status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: {} }],
};

const BEHAVIOUR = /model: (.+)$/;

/** Whether what a request says makes the model fail, so that its answer may say so. */
export const isPlanted = (body: string): boolean => body.includes('model: ');

/** What the model says to a request. Once it has tool outputs, it is content. */
export function hostileAnswer({ text: said, outputs }: UpstreamRequest): Script {
  const behave = MODELS[BEHAVIOUR.exec(said)?.[1] ?? ''];
  if (behave === undefined || outputs.length > 0) return says('You said: ', said.slice(0, 100));
  return behave();
}
