/** Thoughts that servers leave in the text of their answers are thoughts, however the text is cut. */
import { array, assert, constantFrom, integer, property } from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { Normalizer } from '../../src/model/normalize.ts';
import { ThinkTags, type Piece, type ThinkTagMode } from '../../src/model/think-tags.ts';
import {
  chunk,
  DONE,
  failureOf,
  HELLO,
  HELLO_PARTS,
  modelAt,
  partsOf,
  startUpstream,
  STOP,
  type TestUpstream,
} from './upstream.ts';

type Said = readonly (readonly [Piece['type'], string])[];

/** What the fragments say, with neighbours of one kind joined. */
function saidOf(mode: ThinkTagMode, fragments: readonly string[]): Said {
  const tags = new ThinkTags(mode);
  const joined: [Piece['type'], string][] = [];
  for (const { type, text } of [...fragments.flatMap((fragment) => tags.push(fragment)), ...tags.release()]) {
    expect(text).not.toBe('');
    const last = joined.at(-1);
    if (last?.[0] === type) last[1] += text;
    else joined.push([type, text]);
  }
  return joined;
}

const thought = (text: string) => ['thought', text] as const;
const words = (text: string) => ['text', text] as const;

describe.each<[ThinkTagMode, readonly (readonly [text: string, said: Said])[]]>([
  [
    'auto',
    [
      ['', []],
      ['Hello', [words('Hello')]],
      ['<think>Hm.</think>Hello', [thought('Hm.'), words('Hello')]],
      ['\n <think>\nHm.\n</think>\n\n Hello \n', [thought('Hm.\n'), words('Hello \n')]],
      ['<think>\n\n</think>\n\nHello', [words('Hello')]],
      ['<think></think>', []],
      ['<think>a < b </thin </think >c', [thought('a < b </thin '), words('c')]],
      ['<think>a<</think>b', [thought('a<'), words('b')]],
      ['<think>a<think>b</think>c</think>d', [thought('a<think>b'), words('c</think>d')]],
      ['<think>a</think>b<think>c</think>d', [thought('a'), words('b<think>c</think>d')]],
      ['<think>a</think><think>b', [thought('ab')]],
      ['<think>a</think>\n<think>b</think>\nc', [thought('ab'), words('c')]],
      ['<think>a</think> </thin', [thought('a'), words('</thin')]],
      ['<think>for ever', [thought('for ever')]],
      ['<think>for ever</thi', [thought('for ever</thi')]],
      ['<think>\n', []],
      ['  \n', [words('  \n')]],
      [' <thin', [words(' <thin')]],
      ['<think type="deep" n=1>\nHm.</think>Hello', [thought('Hm.'), words('Hello')]],
      ['<think about it>', [words('<think about it>')]],
      ['<think a="', [words('<think a="')]],
      [`<think a="${'b'.repeat(200)}">`, [words(`<think a="${'b'.repeat(200)}">`)]],
      ['<Thinking>Hm.</thinking>Hello', [thought('Hm.'), words('Hello')]],
      ['<thinking>a</think>b</thinking>Hello', [thought('a</think>b'), words('Hello')]],
      ['<thinker>a</thinker>', [words('<thinker>a</thinker>')]],
      ['<THINK>Hm.</THINK>Hello', [thought('Hm.'), words('Hello')]],
      ['<thought>Hm.</thought>Hello', [thought('Hm.'), words('Hello')]],
      ['<thoughts>Hm.</thoughts>Hello', [thought('Hm.'), words('Hello')]],
      ['<reasoning>\nHm.\n</reasoning>\nHello', [thought('Hm.\n'), words('Hello')]],
      ['<seed:think>Hm.</seed:think>Hello', [thought('Hm.'), words('Hello')]],
      ['[THINK]a[b[/THI[/THINK]Hello', [thought('a[b[/THI'), words('Hello')]],
      ['[THIS] is it', [words('[THIS] is it')]],
      ['◁think▷Hm.◁/think▷Hello', [thought('Hm.'), words('Hello')]],
      ['<|START_THINKING|>Hm.<|END_THINKING|>Hello', [thought('Hm.'), words('Hello')]],
      ['<|begin_of_thought|>Hm.<|end_of_thought|>Hello', [thought('Hm.'), words('Hello')]],
      ['<|channel>thought\nHm.<channel|>Hello', [thought('Hm.'), words('Hello')]],
      [
        '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello',
        [thought('Hm.<|end|><|start|>assistant'), words('Hello')],
      ],
      ['<|channel|>final<|message|>Hello', [words('Hello')]],
      ['`<think>` is a tag', [words('`<think>` is a tag')]],
      ['a</think>b', [words('a</think>b')]],
      ['\n</think>\n\nb', [words('b')]],
    ],
  ],
  [
    'closing',
    [
      ['', []],
      ['\nHm.\n</think>\n\nHello', [thought('Hm.\n'), words('Hello')]],
      ['<think>Hm.</think>Hello', [thought('Hm.'), words('Hello')]],
      ['</think>Hello', [words('Hello')]],
      ['<thin</think>Hello', [thought('<thin'), words('Hello')]],
      ['a</think>b</think>c', [thought('a'), words('b</think>c')]],
      ['a</think><think>b</think>c', [thought('ab'), words('c')]],
      ['a</THINK >b', [thought('a'), words('b')]],
      ['never closed', [thought('never closed')]],
      [' <thin', [thought('<thin')]],
      ['  \n', []],
    ],
  ],
  ['off', [[' <think>a</think> b', [words(' <think>a</think> b')]]]],
])('%s', (mode, cases) => {
  test.each(cases)('%j', (text, said) => {
    expect(saidOf(mode, [text])).toEqual(said);
    expect(saidOf(mode, text.split(''))).toEqual(said);
    for (let cut = 0; cut <= text.length; cut++)
      expect(saidOf(mode, [text.slice(0, cut), text.slice(cut)])).toEqual(said);
  });
});

test('any cut of any text into fragments says the same', () => {
  const tags = ['<think>', '</think>', '<', '/think>', '<thi', 'nk>', '<think a=b', '="c">', '<|channel|>'];
  const marks = ['[THINK]', '[/THINK]', '[/', 'THINK]', 'analysis<|message|>', 'final<|message|>'];
  const pieces = array(constantFrom(...tags, ...marks, ' ', '\n', 'a'));
  const modes = constantFrom<ThinkTagMode>('auto', 'closing', 'off');
  assert(
    property(modes, pieces, array(integer({ min: 1, max: 9 }), { minLength: 1 }), (mode, parts, sizes) => {
      const text = parts.join('');
      const fragments: string[] = [];
      for (let from = 0, turn = 0; from < text.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1;
        fragments.push(text.slice(from, from + size));
        from += size;
      }
      expect(saidOf(mode, fragments)).toEqual(saidOf(mode, [text]));
    }),
    { numRuns: 2_000 },
  );
});

test('an ordinary answer is passed on with the fragment it comes in', () => {
  const tags = new ThinkTags('auto');
  expect(tags.push('<b')).toEqual([{ type: 'text', text: '<b' }]);
  expect(tags.push('<')).toEqual([{ type: 'text', text: '<' }]);
});

describe('of a server', () => {
  let upstream: TestUpstream;
  afterEach(() => upstream.stop());

  const answering = async (body: string, goodFrom = Infinity): Promise<void> => {
    upstream = await startUpstream((response, count) => void response.end(count < goodFrom ? body : HELLO));
  };
  const hm = { type: 'thought', field: 'reasoning_content', text: 'Hm.' };

  test('that streams', async () => {
    const body = ['\n<th', 'ink>\nHm.', '</think', '>\n', '\nHello'].map((content) => chunk({ content }));
    await answering(body.join('') + STOP + DONE);
    expect(await partsOf(modelAt(upstream.url))).toEqual([hm, ...HELLO_PARTS]);
  });

  test('that answers as a whole', async () => {
    const message = { role: 'assistant', content: '<think>\nHm.</think>\n\nHello' };
    await answering(JSON.stringify({ choices: [{ index: 0, message, finish_reason: 'stop' }] }));
    expect(await partsOf(modelAt(upstream.url))).toEqual([hm, ...HELLO_PARTS]);
  });

  test('whose template opens the tag, if it is set so', async () => {
    await answering(chunk({ content: 'Hm.</think>\n\nHello' }) + STOP + DONE);
    const model = modelAt(upstream.url, { upstream: { thinkTags: 'closing' } });
    expect(await partsOf(model)).toEqual([hm, ...HELLO_PARTS]);
  });

  test('that never comes to its answer: it has said nothing, and is asked again', async () => {
    await answering(chunk({ content: '<think>Hm.' }) + DONE, 2);
    const parts = await partsOf(modelAt(upstream.url, { retries: 1 }));
    expect(parts).toEqual([hm, { type: 'again' }, ...HELLO_PARTS]);
  });

  test('that never comes to its answer at all: the run fails', async () => {
    await answering(chunk({ content: '<think>Hm.</thi' }) + DONE);
    const { parts, message } = await failureOf(modelAt(upstream.url));
    expect(parts).toEqual([hm]);
    expect(message).toMatch(/^The upstream 'test' ended its answer without a word or a call/);
  });

  test('that says no more than the beginning of a tag: it has said that', async () => {
    await answering(chunk({ content: '<thi' }) + DONE);
    expect(await partsOf(modelAt(upstream.url))).toMatchObject([
      { type: 'text', text: '<thi' },
      { type: 'finish' },
    ]);
  });
});

describe('beside other things', () => {
  const kinds = (...deltas: readonly object[]) => {
    const normalizer = new Normalizer((prefix) => `${prefix}_1`, 'auto');
    const parts = deltas.flatMap((delta) => normalizer.push({ choices: [{ delta }] }));
    return [...parts, ...normalizer.end()].map((part) => ('text' in part ? part.text : part.type));
  };
  const tool_calls = [{ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }];

  test('thoughts come before the calls they lead to', () => {
    expect(kinds({ content: '<think>Hm.</think>\n' }, { tool_calls })).toEqual([
      'Hm.',
      'call',
      '{}',
      'finish',
    ]);
  });

  test('what was held back comes before calls and refusals, and lists of no calls release nothing', () => {
    expect(kinds({ content: '\n<' }, { tool_calls })).toEqual(['\n<', 'call', '{}', 'finish']);
    expect(kinds({ content: '\n' }, { refusal: 'No.' })).toEqual(['\n', 'No.', 'finish']);
    expect(kinds({ content: '<thi', tool_calls: [] }, { content: 'nk>Hm.' })).toEqual(['Hm.', 'finish']);
  });

  test('thoughts in a field of their own may come with tags that are empty', () => {
    expect(kinds({ reasoning: 'Hm.' }, { content: '<think></think>So' })).toEqual(['Hm.', 'So', 'finish']);
  });
});
