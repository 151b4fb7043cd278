/** Chunks that are not parsed: what is read of them is what parsing finds, however the stream is cut and whatever it says. */
import { createParser } from 'eventsource-parser';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isRecord } from '../../src/runs/record.ts';
import { PlainChunks } from '../../src/model/plain-chunks.ts';

/** The events of a stream: of those that were not parsed, their words only. */
interface Read {
  readonly events: readonly string[];
  /** How many were not parsed. */
  readonly plain: number;
}

/** The words of a chunk that has nothing else; of any other, all of it. */
const wordsIn = (data: string): string => {
  const parsed: unknown = JSON.parse(data);
  const choices: readonly unknown[] =
    isRecord(parsed) && Array.isArray(parsed['choices']) ? parsed['choices'] : [];
  const [choice] = choices;
  const delta = isRecord(choice) ? choice['delta'] : null;
  if (!isRecord(choice) || !isRecord(delta) || typeof delta['content'] !== 'string') return data;
  const others = Object.entries({ ...choice, index: null, delta: null, ...delta, content: null });
  return others.every(([, value]) => value === null) ? delta['content'] : data;
};

/** Reads packets; with `plain` as an exchange does, without it by parsing alone. */
function read(packets: readonly Buffer[], plain: PlainChunks | null): Read {
  const events: string[] = [];
  let count = 0;
  let last: { readonly data: string; readonly chunk: unknown } | null = null;
  const decoder = new TextDecoder();
  const parser = createParser({
    onEvent: ({ data }) => {
      events.push(wordsIn(data));
      last = { data, chunk: JSON.parse(data) };
    },
  });
  const take = (words: string): void => {
    events.push(words);
    count += 1;
  };
  for (const packet of packets) {
    const done = plain?.read(packet, take) ?? 0;
    if (done === packet.length) continue;
    const rest = packet.subarray(done);
    last = null;
    parser.feed(decoder.decode(rest, { stream: true }));
    plain?.parsed(rest, last);
  }
  return { events, plain: count };
}

/** A stream cut at these places. */
function cut(bytes: Buffer, places: readonly number[]): readonly Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length));
}

const words = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'grapheme', maxLength: 6 }) },
  fc.string({ unit: 'binary', maxLength: 4 }),
  fc.constantFrom(
    '"',
    '\\',
    '\n',
    '\r\n\r\n',
    '"}',
    '"},"x":"',
    '\ufeff',
    '\ud83d',
    '\ude00',
    'data: ',
    '\u0000',
    'é',
  ),
);
/** JSON as servers write it: with everything beyond ASCII escaped or not. */
const escaped = (json: string): string =>
  json.replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
const json = (delta: object, more: object = {}): string =>
  JSON.stringify({ id: 'c', model: 'm', choices: [{ index: 0, delta, finish_reason: null, ...more }] });

const event = fc.oneof(
  { weight: 8, arbitrary: words.map((content) => json({ content })) },
  words.map((content) => escaped(json({ content }))),
  words.map((content) => json({ content }, { finish_reason: 'stop' })),
  words.map((content) => json({ content, tool_calls: null })),
  words.map((content) => json({ content: 'same', refusal: content })),
  words.map((content) => json({ content: null, content2: content })),
  words.map((content) => JSON.stringify({ content, choices: [{ delta: { content } }] })),
);
/** Events in a form of their own, with what may stand between them. */
const stream = fc
  .record({
    events: fc.array(fc.tuple(event, fc.constantFrom('', '', '', ': ping\n\n', 'id: 7\n', '\n')), {
      minLength: 1,
      maxLength: 20,
    }),
    field: fc.constantFrom('data: ', 'data:'),
    end: fc.constantFrom('\n\n', '\r\n\r\n', '\r\r'),
  })
  .map(({ events, field, end }) =>
    Buffer.from(events.map(([data, before]) => `${before}${field}${data}${end}`).join('')),
  );

describe('what is read without parsing', () => {
  test('is what parsing finds, wherever the stream is cut', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 12 }), (bytes, places) => {
        const packets = cut(bytes, places);
        expect(read(packets, new PlainChunks()).events).toStrictEqual(read(packets, null).events);
      }),
      { numRuns: 2_000 },
    );
  });

  test('is what parsing finds where each event is a packet, and bytes are not UTF-8', () => {
    const bytes = fc
      .array(fc.uint8Array({ maxLength: 5 }), { minLength: 1, maxLength: 10 })
      .map((all) =>
        all.map((content) =>
          Buffer.concat([
            Buffer.from('data: {"choices":[{"delta":{"content":"'),
            content.map((byte) => (byte < 0x20 || byte === 0x22 || byte === 0x5c ? 0x80 : byte)),
            Buffer.from('"}}]}\n\n'),
          ]),
        ),
      );
    fc.assert(
      fc.property(bytes, (packets) => {
        const first = Buffer.from('data: {"choices":[{"delta":{"content":"first"}}]}\n\n');
        const found = read([first, ...packets], new PlainChunks());
        expect(found.events).toStrictEqual(read([first, ...packets], null).events);
        expect(found.plain).toBe(packets.length);
      }),
      { numRuns: 2_000 },
    );
  });

  test('is everything after the first chunk of a server whose chunks differ in their words alone', () => {
    const all = ['Hello', ' "you"', ' 你好', ' \\', '\n'].map((content) =>
      Buffer.from(`data: ${json({ content })}\n\n`),
    );
    expect(read(all, new PlainChunks())).toStrictEqual({
      events: ['Hello', ' "you"', ' 你好', ' \\', '\n'],
      plain: 4,
    });
    expect(read([all[0] ?? Buffer.of(), Buffer.concat(all)], new PlainChunks()).plain).toBe(5);
  });

  test('is nothing where every chunk has something else of its own, and no more examples are taken', () => {
    const plain = new PlainChunks();
    const packets = Array.from({ length: 20 }, (_, index) =>
      Buffer.from(
        `data: ${JSON.stringify({ choices: [{ delta: { content: 'a' } }], obfuscation: `${index}` })}\n\n`,
      ),
    );
    expect(read(packets, plain).plain).toBe(0);
    expect(plain.isCurious).toBe(false);
  });
});
