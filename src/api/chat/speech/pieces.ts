/** The sound of a sentence in pieces of 40 ms, at the rate that the client plays: PCM, 16 bits, mono, little-endian. */
import { Resampler } from './resample.ts';

/** The rate of what speech servers answer, in samples a second. */
export const SERVER_RATE = 24_000;
const BYTES_PER_SAMPLE = 2;
const PIECES_PER_SECOND = 25;

/** One sound: bytes as they come in, whole pieces out. */
export class SoundPieces {
  readonly #resampler: Resampler | null;
  readonly #pieceBytes: number;
  /** Half of a sample that was cut in two. */
  #half: Buffer = Buffer.alloc(0);
  /** Less than a piece. */
  #rest: Buffer = Buffer.alloc(0);

  /** @param sampleRate 16,000 or 24,000 */
  constructor(sampleRate: number) {
    this.#resampler = sampleRate === SERVER_RATE ? null : new Resampler();
    this.#pieceBytes = (sampleRate / PIECES_PER_SECOND) * BYTES_PER_SAMPLE;
  }

  /** The pieces that are whole with these bytes. */
  add(bytes: Uint8Array): readonly Buffer[] {
    const all = Buffer.concat([this.#half, bytes]);
    const even = all.length - (all.length % BYTES_PER_SAMPLE);
    this.#half = all.subarray(even);
    const samples = all.subarray(0, even);
    return this.#cut(this.#resampler === null ? samples : bytesOf(this.#resampler.push(samplesOf(samples))));
  }

  /** The last piece, filled with silence: the next sentence begins with a whole one. */
  end(): readonly Buffer[] {
    const pieces = this.#cut(this.#resampler === null ? Buffer.alloc(0) : bytesOf(this.#resampler.end()));
    if (this.#rest.length === 0) return pieces;
    const last = Buffer.concat([this.#rest], this.#pieceBytes);
    this.#rest = Buffer.alloc(0);
    return [...pieces, last];
  }

  #cut(bytes: Buffer): readonly Buffer[] {
    const all = Buffer.concat([this.#rest, bytes]);
    const count = Math.floor(all.length / this.#pieceBytes);
    this.#rest = all.subarray(count * this.#pieceBytes);
    return Array.from({ length: count }, (_, index) =>
      all.subarray(index * this.#pieceBytes, (index + 1) * this.#pieceBytes),
    );
  }
}

function samplesOf(bytes: Buffer): Int16Array {
  const samples = new Int16Array(bytes.length / BYTES_PER_SAMPLE);
  for (let index = 0; index < samples.length; index += 1)
    samples[index] = bytes.readInt16LE(index * BYTES_PER_SAMPLE);
  return samples;
}

function bytesOf(samples: Int16Array): Buffer {
  const bytes = Buffer.alloc(samples.length * BYTES_PER_SAMPLE);
  for (let index = 0; index < samples.length; index += 1)
    bytes.writeInt16LE(samples[index] ?? 0, index * BYTES_PER_SAMPLE);
  return bytes;
}

/** A WAV file of these bytes: a header of 44 bytes, and the sound. */
export function wavOf(sound: Buffer, sampleRate: number): Buffer {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(36 + sound.length, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  // PCM, one channel.
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * BYTES_PER_SAMPLE, 28);
  header.writeUInt16LE(BYTES_PER_SAMPLE, 32);
  header.writeUInt16LE(8 * BYTES_PER_SAMPLE, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(sound.length, 40);
  return Buffer.concat([header, sound]);
}
