/** The sound of an answer that comes as one object: all of it, in the format that was asked for. */
import { ApiError } from '../../../errors.ts';
import type { AudioFields } from '../frames.ts';
import type { AskedSpeech } from './asked.ts';
import { SoundPieces, wavOf } from './pieces.ts';
import { SentenceCutter, spokenPart } from './sentences.ts';
import { Sound } from './sound.ts';
import type { ServerFormat } from './speaker.ts';

/** Sound of one answer that comes whole: three quarters of an hour of samples. It is in memory all at once. */
const MAX_WHOLE_BYTES = 128 * 1024 * 1024;

export interface WholeSoundOptions {
  readonly asked: AskedSpeech;
  /** The id of the sound, and when it was asked for, in Unix seconds. */
  readonly audioId: string;
  readonly created: number;
  readonly say: (text: string, format: ServerFormat, signal: AbortSignal) => AsyncIterable<Uint8Array>;
  /** Takes room for an answer of so many bytes. @throws {ApiError} 503 when there is none. */
  readonly admit: (bytes: number) => void;
  readonly gone: AbortSignal;
}

/**
 * Speaks a text.
 * @returns null where it has no word
 * @throws {ApiError} where it cannot be spoken, or is too long for what this process may hold.
 */
export async function wholeSound(text: string, options: WholeSoundOptions): Promise<AudioFields | null> {
  const { audioId: id, created, asked } = options;
  if (spokenPart(text) === '') return null;
  const sound =
    asked.format === 'pcm16' || asked.format === 'wav'
      ? await samples(text, options)
      : await inOnePiece(text, asked.format, options);
  const file = asked.format === 'wav' ? wavOf(sound, asked.sampleRate) : sound;
  // The sound is not kept, so from now on nobody can refer to it.
  return { id, data: file.toString('base64'), transcript: text, expires_at: created };
}

/** Sentence by sentence, as in a stream: the text may be longer than what a server speaks at a time. */
async function samples(text: string, { asked, say, admit, gone }: WholeSoundOptions): Promise<Buffer> {
  const cutter = new SentenceCutter();
  const sentences = [...cutter.add(text), ...cutter.end()].map(spokenPart).filter((words) => words !== '');
  const fetch = (index: number): Sound | null => {
    const words = sentences[index];
    return words === undefined ? null : new Sound((signal) => say(words, 'pcm', signal), gone);
  };
  const held = new HeldSound(admit);
  let playing = fetch(0);
  let ahead = fetch(1);
  try {
    for (let next = 2; playing !== null; next += 1) {
      const pieces = new SoundPieces(asked.sampleRate);
      for (let chunk = await playing.next(); chunk !== null; chunk = await playing.next())
        held.add(...pieces.add(chunk));
      held.add(...pieces.end());
      playing = ahead;
      ahead = fetch(next);
    }
  } finally {
    playing?.stop();
    ahead?.stop();
  }
  return held.all;
}

async function inOnePiece(
  text: string,
  format: ServerFormat,
  { say, admit, gone }: WholeSoundOptions,
): Promise<Buffer> {
  const held = new HeldSound(admit);
  for await (const chunk of say(text, format, gone)) held.add(chunk);
  return held.all;
}

function tooLong(): ApiError {
  const text = `The sound of this answer has more than ${MAX_WHOLE_BYTES / 1024 / 1024} MB. Ask for it as a stream ('stream': true).`;
  return new ApiError(400, text, { param: 'stream', code: 'audio_too_long' });
}

/** Sound in memory, which counts as an answer on its way. */
class HeldSound {
  readonly #admit: (bytes: number) => void;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(admit: (bytes: number) => void) {
    this.#admit = admit;
  }

  get all(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  add(...chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      this.#chunks.push(chunk);
      this.#bytes += chunk.byteLength;
    }
    if (this.#bytes > MAX_WHOLE_BYTES) throw tooLong();
    // As base64.
    this.#admit(Math.ceil(this.#bytes / 3) * 4);
  }
}
