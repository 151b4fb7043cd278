/** What sound is made of on its way: sentences, samples at another rate, and pieces of one length. */
import { describe, expect, test } from 'vitest';
import { Sound, AHEAD_BYTES } from '../../src/api/chat/speech/sound.ts';
import { SoundPieces, wavOf } from '../../src/api/chat/speech/pieces.ts';
import { SentenceCutter, spokenPart } from '../../src/api/chat/speech/sentences.ts';
import { wholeSound } from '../../src/api/chat/speech/whole-sound.ts';
import { loudness, tone } from '../support/speech-server.ts';

/** The sentences of a text that comes in fragments of so many characters. */
function sentencesOf(text: string, fragment: number): readonly string[] {
  const cutter = new SentenceCutter();
  const fragments = text.match(new RegExp(`.{1,${fragment}}`, 'gsu')) ?? [];
  return [...fragments.flatMap((part) => cutter.add(part)), ...cutter.end()];
}

describe('a text is cut into sentences', () => {
  test.each([
    ['It is late, Mr. Smith. Shall we go? Yes!', ['It is late, Mr. Smith. ', 'Shall we go? ', 'Yes!']],
    ['It costs 3.14 dollars. Take it.', ['It costs 3.14 dollars. ', 'Take it.']],
    ['您好，世界。今天天气很好。我们出去走走吧！', ['您好，世界。', '今天天气很好。', '我们出去走走吧！']],
    ['1. The first of them\n2. The second of them', ['1. The first of them\n', '2. The second of them']],
    ['Yes. I think so.', ['Yes. I think so.']],
    ['', []],
  ])('%s', (text, sentences) => {
    for (const fragment of [1, 3, 1_000]) expect(sentencesOf(text, fragment)).toEqual(sentences);
  });

  test.each([
    ['with commas', 'one two three, '.repeat(60)],
    ['with blanks alone', 'word '.repeat(200)],
    ['with nothing to cut at', 'a'.repeat(1_000)],
    ['with characters of two units', '😀'.repeat(500)],
  ])('one without an end, %s, is cut where it may be, and nothing of it is lost', (_what, text) => {
    const pieces = sentencesOf(text, 7);
    expect(pieces.join('')).toBe(text);
    expect(pieces.every((piece) => piece.length <= 300 && piece.isWellFormed())).toBe(true);
  });

  test('as soon as the next one begins', () => {
    const cutter = new SentenceCutter();
    expect(cutter.add('The first one. ')).toEqual([]);
    expect(cutter.add('T')).toEqual(['The first one. ']);
  });

  test('and one that has its end but nothing behind it looks whole', () => {
    for (const [text, isWhole] of [
      ['It is late.', true],
      ['“来吗？”', true],
      ['Wait!) ', true],
      ['It is', false],
      ['', false],
    ] as const) {
      const cutter = new SentenceCutter();
      cutter.add(text);
      expect(cutter.looksWhole).toBe(isWhole);
    }
  });

  test('and what has no word, or is the mark of a cited file, is not said', () => {
    for (const text of ['…', ' ', '---', '【4:0†a.md】', '😀']) expect(spokenPart(text)).toBe('');
    expect(spokenPart(' Thirty days【4:0†handbook.md】. ')).toBe('Thirty days.');
    expect(spokenPart('【重要】请看')).toBe('【重要】请看');
  });
});

/** A second of a tone, as engines get it, from chunks that cut samples in two. */
function resampled(hz: number): readonly Buffer[] {
  const pieces = new SoundPieces(16_000);
  const sound = tone(hz, 1_000);
  const found: Buffer[] = [];
  for (let at = 0; at < sound.length; at += 1_777) found.push(...pieces.add(sound.subarray(at, at + 1_777)));
  return [...found, ...pieces.end()];
}

/** In decibels, beside the tone that came in. */
const level = (sound: Buffer, hz: number): number => 20 * Math.log10(loudness(sound, hz, 16_000));

describe('from 24,000 samples a second to 16,000', () => {
  test.each([100, 440, 1_000, 3_000, 5_000, 6_500])('a tone of %i Hz stays as loud as it is', (hz) => {
    const sound = Buffer.concat(resampled(hz));
    expect(sound).toHaveLength(32_000);
    expect(Math.abs(level(sound, hz))).toBeLessThan(0.2);
  });

  test.each([8_500, 9_000, 9_500, 10_000, 11_500])(
    'a tone of %i Hz, which would come back as another, is gone',
    (hz) => {
      expect(level(Buffer.concat(resampled(hz)), 16_000 - hz)).toBeLessThan(-50);
    },
  );

  test('the length of the chunks makes no difference', () => {
    const sound = tone(1_000, 400);
    const whole = new SoundPieces(16_000);
    const single = new SoundPieces(16_000);
    const pieces = [...sound].flatMap((byte) => single.add(Buffer.of(byte)));
    expect(Buffer.concat([...pieces, ...single.end()])).toEqual(
      Buffer.concat([...whole.add(sound), ...whole.end()]),
    );
  });
});

describe('pieces', () => {
  test.each([
    [16_000, 1_280],
    [24_000, 1_920],
  ])('at %i samples a second have %i bytes, 40 ms, and the last one ends in silence', (rate, bytes) => {
    const pieces = new SoundPieces(rate);
    const found = [...pieces.add(tone(440, 90)), ...pieces.end()];
    expect(found.map(({ length }) => length)).toEqual([bytes, bytes, bytes]);
    expect(found[2]?.subarray(-bytes / 2).every((byte) => byte === 0)).toBe(true);
  });

  test('at 24,000 are what came', () => {
    const sound = tone(440, 200);
    const pieces = new SoundPieces(24_000);
    expect(Buffer.concat([...pieces.add(sound), ...pieces.end()])).toEqual(sound);
  });

  test('of nothing are none', () => {
    for (const rate of [16_000, 24_000]) expect(new SoundPieces(rate).end()).toEqual([]);
  });

  test('have a header of 44 bytes as a WAV file', () => {
    const sound = tone(440, 40);
    const file = wavOf(sound, 24_000);
    expect(file).toHaveLength(44 + sound.length);
    expect(file.toString('latin1', 0, 4) + file.toString('latin1', 8, 16)).toBe('RIFFWAVEfmt ');
    expect(file.readUInt32LE(4)).toBe(file.length - 8);
    expect([file.readUInt16LE(20), file.readUInt16LE(22), file.readUInt32LE(24)]).toEqual([1, 1, 24_000]);
    expect([file.readUInt32LE(28), file.readUInt16LE(32), file.readUInt16LE(34)]).toEqual([48_000, 2, 16]);
    expect(file.readUInt32LE(40)).toBe(sound.length);
  });
});

describe('the sound of a sentence that has to wait', () => {
  test('is fetched up to a limit, and goes on as it is read', async () => {
    const chunk = new Uint8Array(64 * 1024);
    let made = 0;
    const full = Promise.withResolvers<void>();
    async function* many(): AsyncGenerator<Uint8Array, void> {
      while (made < 100) {
        made += 1;
        if (made * chunk.length > AHEAD_BYTES) full.resolve();
        yield chunk;
      }
    }
    const sound = new Sound(many, new AbortController().signal);
    await full.promise;
    // Without a limit, all would be made by then.
    await new Promise((resolve) => setImmediate(resolve));
    const most = AHEAD_BYTES / chunk.length + 1;
    for (let taken = 0; taken < 20; taken += 1) {
      expect(made).toBeLessThanOrEqual(most + taken);
      expect(sound.bytes).toBeLessThanOrEqual(AHEAD_BYTES + chunk.length);
      expect(await sound.next()).toBe(chunk);
    }
    sound.stop();
  });

  test('tells its failure behind all that came before', async () => {
    async function* broken(): AsyncGenerator<Uint8Array, void> {
      yield Uint8Array.of(1);
      throw new Error('broke off');
    }
    const sound = new Sound(broken, new AbortController().signal);
    expect(await sound.next()).toEqual(Uint8Array.of(1));
    await expect(sound.next()).rejects.toThrow('broke off');
  });

  test('aborts its fetching when it is stopped, and when the client is gone', async () => {
    for (const isGone of [true, false]) {
      const gone = new AbortController();
      const aborted = Promise.withResolvers<void>();
      const sound = new Sound((signal) => {
        signal.addEventListener('abort', () => aborted.resolve());
        return nothing();
      }, gone.signal);
      if (isGone) gone.abort();
      else sound.stop();
      await expect(aborted.promise).resolves.toBeUndefined();
    }
  });
});

async function* nothing(): AsyncGenerator<Uint8Array, void> {
  // Never more than this.
  yield* [];
}

test('a speech server that does not end is given up', async () => {
  let asked = 0;
  async function* endless(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      asked += 1;
      yield await Promise.resolve(new Uint8Array(1024 * 1024));
    }
  }
  const whole = wholeSound('Hello.', {
    asked: { format: 'mp3', voice: 'alloy', sampleRate: 24_000 },
    audioId: 'audio_1',
    created: 1,
    say: endless,
    admit: () => {},
    gone: new AbortController().signal,
  });
  await expect(whole).rejects.toMatchObject({ status: 400, code: 'audio_too_long' });
  expect(asked).toBeLessThan(200);
});
