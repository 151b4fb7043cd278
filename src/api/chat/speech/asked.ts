/** Whether a chat request asks for an answer with sound, and for what kind of sound. */
import { z } from 'zod';
import { ApiError, echo } from '../../../errors.ts';
import { isRecord } from '../../../runs/record.ts';
import { validate } from '../../http/validate.ts';
import { SERVER_RATE } from './pieces.ts';

const FORMATS = ['pcm16', 'wav', 'mp3', 'flac', 'opus', 'aac'] as const;

const audio = z.looseObject({
  audio: z
    .looseObject({
      voice: z
        .union([z.string().min(1).max(256), z.looseObject({ id: z.string().min(1).max(256) })])
        .nullish(),
      format: z.enum(FORMATS).nullish(),
      /** Ours: which of the two rates the client plays. */
      sample_rate: z.union([z.literal(16_000), z.literal(24_000)]).nullish(),
    })
    .nullish(),
});

/** The sound that a request asks for. */
export interface AskedSpeech {
  /** A voice of the speech server, by its name or as OpenAI's `{id}`. */
  readonly voice: string | { readonly id: string };
  readonly format: (typeof FORMATS)[number];
  /** Samples a second, of the formats `pcm16` and `wav`. */
  readonly sampleRate: number;
}

/** How the path answers that is asked. */
export interface SpeechDefaults {
  /** Whether answers have sound where the request does not say. */
  readonly speaksAlways: boolean;
  /** Whether they stream where the request does not say. */
  readonly streamByDefault: boolean;
  readonly voice: string;
  /** Null: OpenAI's. */
  readonly sampleRate: number | null;
}

/** The sound that a request asks for; null for none. @throws {ApiError} 400 for one that cannot be made. */
export function speechIn(
  given: Readonly<Record<string, unknown>>,
  { speaksAlways, streamByDefault, voice, sampleRate }: SpeechDefaults,
): AskedSpeech | null {
  const { modalities } = given;
  const asks = Array.isArray(modalities) ? modalities.includes('audio') : speaksAlways;
  if (!asks) return null;
  const asked = validate(audio, { audio: given['audio'] }, false).audio ?? {};
  const format = asked.format ?? 'pcm16';
  const isStream = typeof given['stream'] === 'boolean' ? given['stream'] : streamByDefault;
  if (isStream && format !== 'pcm16') throw onlyWhole(format);
  return {
    voice: asked.voice ?? voice,
    format,
    sampleRate: asked.sample_rate ?? sampleRate ?? SERVER_RATE,
  };
}

/** The fields without those that ask for sound: the model server is asked for text. */
export function withoutSpeech<Given extends object>(given: Given): Omit<Given, 'audio' | 'modalities'> {
  const { audio: _audio, modalities: _modalities, ...others } = { audio: null, modalities: null, ...given };
  return others;
}

/**
 * What an answer of the assistant said, where a client sends back no more than its sound.
 * @param sent the field `audio` of its message
 * @throws {ApiError} 400 where that is only named: no sound is kept here.
 */
export function transcriptIn(sent: unknown, param: string): string {
  const transcript = isRecord(sent) ? sent['transcript'] : null;
  if (typeof transcript === 'string') return transcript;
  const text = `The sound of earlier answers is not kept, so '${echo(param)}' cannot name one. Send what was said, its 'transcript', as the 'content' of the message.`;
  throw new ApiError(400, text, { param, code: 'unsupported' });
}

function onlyWhole(format: string): ApiError {
  const text = `The format '${format}' is not supported in streams, which have 'pcm16'. Ask with "format": "pcm16", or without "stream".`;
  return new ApiError(400, text, { param: 'audio.format', code: 'unsupported_value' });
}
