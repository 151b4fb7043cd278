/** Answers with sound, as their clients read them: the order of their chunks, what they say, and what is heard. */
import { z } from 'zod';

const audioSchema = z.strictObject({
  id: z.string().optional(),
  transcript: z.string().optional(),
  data: z.base64().optional(),
  expires_at: z.int().optional(),
});
const deltaSchema = z.looseObject({ role: z.string().optional(), audio: audioSchema.optional() });

export interface HeardSound {
  readonly transcript: string;
  readonly pieces: readonly Buffer[];
  readonly sound: Buffer;
  /** Every id of a sound, once. */
  readonly ids: readonly string[];
  /** What the chunks were, in order, neighbours of a kind as one: `role`, `transcript`, `data`, `expiry`, and other names. */
  readonly order: readonly string[];
}

/** Reads the chunks of an answer. */
export function soundIn(
  chunks: readonly { readonly choices: readonly { readonly delta: object }[] }[],
): HeardSound {
  const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => deltaSchema.parse(delta)));
  const sounds = deltas.flatMap(({ audio }) => audio ?? []);
  const pieces = sounds.flatMap(({ data }) => (data === undefined ? [] : [Buffer.from(data, 'base64')]));
  const kinds = deltas.map((delta) => {
    if (delta.role !== undefined) return 'role';
    const { audio, ...others } = delta;
    if (audio === undefined) return Object.keys(others).join(' ') || 'end';
    if (audio.transcript !== undefined) return 'transcript';
    return audio.data === undefined ? 'expiry' : 'data';
  });
  return {
    transcript: sounds.map(({ transcript = '' }) => transcript).join(''),
    pieces,
    sound: Buffer.concat(pieces),
    ids: [...new Set(sounds.flatMap(({ id }) => id ?? []))],
    order: kinds.filter((kind, index) => kind !== kinds[index - 1]),
  };
}
