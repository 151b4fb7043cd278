/** `/chat/completions` and its relatives: the same runs as everywhere, for chat clients, voice engines and devices. */
import { converse } from '../../turns/conversation.ts';
import { ServerTiming } from '../../turns/server-timing.ts';
import { isNobody, sayNobody, tellNobody } from './nobody.ts';
import { Lookahead, type Filler } from '../../turns/lookahead.ts';
import { readChat } from './request.ts';
import { isAudible, isSpeakable, type Audible, type TurnEvent } from '../../turns/turn-events.ts';
import { threadIdOf } from '../../turns/thread.ts';
import { turnError } from '../../turns/turn-error.ts';
import type { ChatTurn } from '../../turns/turn.ts';
import { ApiError } from '../../errors.ts';
import { memoryEndpoints } from './memory.ts';
import { BROKEN_OFF, chatFrames, chatObject, isHttpError, type ChatReply } from './frames.ts';
import { AHEAD_BYTES } from './speech/sound.ts';
import { voiceOf, type Voice } from './speech/voice.ts';
import type { Call } from '../http/call.ts';
import type { Endpoint } from '../http/endpoint.ts';
import { isSafeId } from '../../store/keys.ts';
import { sealedKey } from '../../turns/seal-request.ts';
import type { Services } from '../http/services.ts';

/** How a route treats its callers. */
interface ChatProfile {
  /** Whether an answer streams when the caller does not say. */
  readonly streamByDefault: boolean;
  readonly filler: Filler | null;
  /** What is said where an answer that is spoken fails or has no word; null elsewhere. */
  readonly apology: string | null;
  /** Whether the answer is spoken to a user who sees no errors. */
  readonly speaks: boolean;
  /** Whether nothing reads errors: refusals are spoken as well, and no error follows what is said instead of it. */
  readonly hidesErrors: boolean;
  /** Whether answers have sound where the request does not say. */
  readonly speaksAlways: boolean;
  /** A picture in a new request may answer an earlier `take_a_photo` call. */
  readonly relaysPhotos: boolean;
}

/**
 * Until then, an answer that has not begun may still become an HTTP error. Then the headers are sent, because proxies
 * and clients give up on silent servers.
 */
const HOLD_MS = 10_000;

/** The operator's settings for devices. */
export interface DeviceSettings {
  readonly fillerAfterMs: number;
  readonly fillerText: string;
  /** What glasses say where an answer fails, and what voice engines say. */
  readonly apology: string;
  readonly voiceApology: string;
  /** How long a spoken answer waits for a model server that cannot answer yet. */
  readonly spokenWaitMs: number;
  /** The model, the voice of callers who name none, and the samples a second that engines and devices play. */
  readonly speechModel: string;
  readonly speechVoice: string;
  readonly speechSampleRate: number;
}

export type ProfileName = 'chat' | 'voice' | 'audio' | 'glasses';

/** The kinds of callers: SDKs and programs, voice engines, those that play sound, and glasses. */
function profileOf(name: ProfileName, settings: DeviceSettings): ChatProfile {
  const { fillerAfterMs, fillerText, apology, voiceApology } = settings;
  const plain = {
    streamByDefault: false,
    filler: null,
    apology: null,
    speaks: false,
    hidesErrors: false,
    speaksAlways: false,
    relaysPhotos: false,
  };
  const spoken = { ...plain, streamByDefault: true, speaks: true };
  switch (name) {
    case 'chat':
      return plain;
    case 'voice':
    case 'audio':
      return {
        ...spoken,
        speaksAlways: name === 'audio',
        apology: voiceApology,
        filler: { afterMs: fillerAfterMs, text: fillerText },
      };
    case 'glasses':
      return { ...spoken, apology, hidesErrors: true, relaysPhotos: true };
  }
}

/** The endpoints for chat clients under the base paths. */
export function chatEndpoints(services: Services, settings: DeviceSettings): readonly Endpoint[] {
  return [chatEndpoint(services, '/chat/completions', 'chat', settings), ...memoryEndpoints(services)];
}

/** The chat endpoint at `path`, for callers of this kind. */
export function chatEndpoint(
  services: Services,
  path: string,
  name: ProfileName,
  settings: DeviceSettings,
): Endpoint {
  const profile = profileOf(name, settings);
  return {
    method: 'POST',
    path,
    repeatsItself: true,
    handle: async (call) => {
      const startedMs = performance.now();
      const { ahead, reply, isStream, headers, voice } = await begin(services, call, profile, settings);
      if (!isStream) {
        const value = await chatObject(ahead.read(), reply, voice?.whole);
        return { type: 'json', value, headers: headers() };
      }
      const { filler } = profile;
      const leftMs = (ms: number): number => Math.max(0, startedMs + ms - performance.now());
      let close = async (): Promise<unknown> => ahead.close();
      try {
        const first = await ahead.peek(leftMs(Math.min(HOLD_MS, filler?.afterMs ?? HOLD_MS)));
        refuseEarly(first, reply);
        const late = filler === null ? null : { ...filler, afterMs: leftMs(filler.afterMs) };
        if (voice === null) {
          const frames = chatFrames(ahead.read(late), reply);
          return { type: 'events', frames, headers: headers(), failure: BROKEN_OFF };
        }
        const frames = voice.stream(ahead.read(late));
        close = async () => frames.return();
        await frames.begun(leftMs(HOLD_MS));
        return { type: 'events', frames, headers: headers(), failure: BROKEN_OFF };
      } catch (error) {
        // Without this, the generator would stay suspended at a `yield` and listen to the run for ever.
        await close();
        throw error;
      }
    },
  };
}

/**
 * An answer that has begun. Nothing in it refers to the request, which may hold photos, so that is freed while the run
 * lives.
 */
interface Begun {
  readonly ahead: Lookahead<Audible>;
  readonly reply: ChatReply;
  readonly isStream: boolean;
  readonly headers: () => Record<string, string>;
  /** Makes the sound of the answer; null where it has none. */
  readonly voice: Voice | null;
}

async function begin(
  services: Services,
  call: Call,
  profile: ChatProfile,
  settings: DeviceSettings,
): Promise<Begun> {
  const timing = new ServerTiming(services.figures.firstWord);
  const { relaysPhotos, speaks: isDevice, speaksAlways, streamByDefault } = profile;
  const sampleRate = isDevice ? settings.speechSampleRate : null;
  const request = readChat(call, {
    isDevice,
    relaysPhotos,
    sealed: sealedKey(services, call),
    speech: { speaksAlways, streamByDefault, voice: settings.speechVoice, sampleRate },
  });
  const isStream = request.stream ?? streamByDefault;
  if (isStream) services.admission.admitStream(call.gone);
  if (isStream && request.speech !== null) call.admitBeside(AHEAD_BYTES);
  const reply: ChatReply = {
    id: `chatcmpl-${call.requestId.slice('req_'.length)}`,
    created: services.now(),
    model: request.model,
    includeUsage: request.includeUsage,
    callsFunctions: request.callsFunctions,
    apology: profile.apology,
    showsAsides: !profile.speaks,
    hidesErrors: profile.hidesErrors,
  };
  const thread = threadHeader(request.turn);
  const turn = profile.speaks ? { ...request.turn, waitMs: settings.spokenWaitMs } : request.turn;
  const answer = converse(services, call, turn, timing).catch((error: unknown) => {
    if (!isNobody(error)) throw error;
    tellNobody(call, request.turn.agent);
    if (!profile.speaks) throw error;
    return sayNobody(request.turn.agent);
  });
  return {
    ahead: new Lookahead(
      profile.hidesErrors ? spoken(call, answer) : await answer,
      profile.speaks ? isSpeakable : isAudible,
    ),
    reply,
    isStream,
    headers: () => ({ 'server-timing': timing.header, ...thread }),
    voice:
      request.speech === null
        ? null
        : voiceOf(services, call, reply, { asked: request.speech, model: settings.speechModel }),
  };
}

/** For devices that speak every answer, failures are spoken as well. */
async function* spoken(
  call: Call,
  answer: Promise<AsyncIterable<readonly TurnEvent[]>>,
): AsyncGenerator<readonly TurnEvent[], void> {
  try {
    yield* await answer;
  } catch (error) {
    const why = error instanceof ApiError ? { status: error.status, code: error.code } : { err: error };
    call.log.warn(why, 'a device was answered with an apology');
    yield [{ type: 'failed', error: { code: 'server_error', message: 'The turn could not be answered.' } }];
  }
}

/** A run that failed before its first word becomes an HTTP error, unless an apology is spoken instead. */
function refuseEarly(coming: IteratorResult<readonly Audible[]> | null, reply: ChatReply): void {
  const [first] = coming?.done === false ? coming.value : [];
  if (first?.type === 'failed' && isHttpError(first, reply)) throw turnError(first);
}

/** A header with the id under which the Assistants API shows the conversation; none for an id that it would refuse. */
function threadHeader({ thread }: ChatTurn): Record<string, string> {
  const id = thread === null ? '' : threadIdOf(thread);
  return isSafeId(id) ? { 'x-thread-id': id } : {};
}
