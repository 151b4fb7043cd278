/** What makes the sound of one answer, streamed or whole. */
import { ApiError } from '../../../errors.ts';
import type { Passing } from '../../../store/passing.ts';
import type { Audible } from '../../../turns/turn-events.ts';
import type { Call } from '../../http/call.ts';
import type { Services } from '../../http/services.ts';
import { ChatEncoder, type AudioFields, type ChatReply } from '../frames.ts';
import type { AskedSpeech } from './asked.ts';
import { Speaker } from './speaker.ts';
import { SpokenAnswer } from './spoken-answer.ts';
import { wholeSound } from './whole-sound.ts';

export interface Voice {
  /** The frames of an answer. */
  readonly stream: (events: Passing<readonly Audible[]>) => SpokenAnswer;
  /** The sound of a text; null where it has none. @throws {ApiError} where it cannot be spoken. */
  readonly whole: (text: string) => Promise<AudioFields | null>;
}

/** @param model the model that speaks, by the name that the configuration gives it */
export function voiceOf(
  { speechServer, figures: { spoken } }: Services,
  call: Call,
  reply: ChatReply,
  { asked, model }: { readonly asked: AskedSpeech; readonly model: string },
): Voice {
  const { gone, log, upstreamKey } = call;
  const { voice, sampleRate } = asked;
  const speaker = new Speaker({ server: () => speechServer(upstreamKey), model, voice, spoken, log });
  const audioId = `audio_${call.requestId.slice('req_'.length)}`;
  const admit = (bytes: number): void => call.admit(bytes);
  return {
    stream: (events) =>
      new SpokenAnswer(events, {
        reply,
        encoder: new ChatEncoder(reply, false),
        sampleRate,
        audioId,
        say: (text, signal) => speaker.say(text, 'pcm', signal),
        gone,
        log,
      }),
    whole: async (text) => {
      try {
        const { created } = reply;
        return await wholeSound(text, {
          asked,
          audioId,
          created,
          say: (part, format, signal) => speaker.say(part, format, signal),
          admit,
          gone,
        });
      } catch (error) {
        // Nothing reads errors there, and the text may be shown.
        if (reply.hidesErrors && error instanceof ApiError) return null;
        throw error;
      }
    },
  };
}
