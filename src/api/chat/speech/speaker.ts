/**
 * Asks the speech server for the sound of a text, as it comes. A failure that passes is tried once more, as long as nothing
 * was heard; every other is logged, counted, and told in words that say which setting to look at.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ApiError } from '../../../errors.ts';
import type { Logger } from '../../../log.ts';
import type { LabelledTally } from '../../../metrics.ts';
import type { TargetServer } from '../../http/services.ts';
import type { AskedSpeech } from './asked.ts';

const PATH = '/audio/speech';
/** Of one text. Twenty minutes of samples; a server that says more does not end. */
const MAX_SOUND_BYTES = 64 * 1024 * 1024;
/** The wait before the second try, and the longest that a server may ask for. */
const RETRY_MS = 250;
const MAX_RETRY_MS = 5_000;

export interface SpeakerOptions {
  /** @throws {ApiError} 502 when there is no model server. */
  readonly server: () => TargetServer;
  /** The model, by the name that the configuration gives it. */
  readonly model: string;
  readonly voice: AskedSpeech['voice'];
  /** Counts texts by server and by what became of them. */
  readonly spoken: LabelledTally;
  readonly log: Logger;
}

/** What speech servers are asked for. `pcm` is 16 bits, mono, 24,000 samples a second. */
export type ServerFormat = 'pcm' | 'mp3' | 'flac' | 'opus' | 'aac';

export class Speaker {
  readonly #options: SpeakerOptions;

  constructor(options: SpeakerOptions) {
    this.#options = options;
  }

  /** The sound of a text. @throws {ApiError} for what the client is told of a failure. */
  async *say(text: string, format: ServerFormat, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    for (let tries = 1; ; tries += 1) {
      let isHeard = false;
      try {
        for await (const chunk of this.#ask(text, format, signal)) {
          isHeard = true;
          yield chunk;
        }
        return;
      } catch (error) {
        const waitMs = isHeard || tries > 1 || signal.aborted ? null : retryWaitMs(error);
        if (waitMs === null) throw this.#told(error, signal);
        await delay(waitMs, undefined, { signal }).catch(() => {});
      }
    }
  }

  async *#ask(text: string, format: ServerFormat, gone: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const { server: find, model, voice, spoken } = this.#options;
    const server = find();
    const { upstream } = server;
    const count = (status: number): void => spoken.add({ upstream, status: String(status) });
    let isHeard = false;
    let leftBytes = MAX_SOUND_BYTES;
    try {
      const request = { model: server.nameOf(model), input: text, voice, response_format: format };
      const body = Buffer.from(JSON.stringify(request));
      const { headers, chunks } = await server.send({
        path: PATH,
        contentType: 'application/json',
        accept: null,
        body,
        length: body.length,
        gone,
      });
      for await (const chunk of chunks) {
        if (chunk.byteLength === 0) continue;
        if (!isHeard) requireSound(upstream, format, headers['content-type'] ?? '', chunk);
        isHeard = true;
        leftBytes -= chunk.byteLength;
        if (leftBytes < 0)
          throw noSound(
            `The upstream '${upstream}' does not end its answer to '${PATH}': one text has more sound than this server takes.`,
          );
        yield chunk;
      }
      if (!isHeard)
        throw noSound(`The upstream '${upstream}' ended its answer to '${PATH}' without a sound.`);
      count(200);
    } catch (error) {
      count(error instanceof ApiError ? error.status : 500);
      throw error;
    }
  }

  #told(error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted || !(error instanceof ApiError)) return error;
    const { log, model } = this.#options;
    const { status, code, cause } = error;
    // Its words may repeat the text.
    const why = { speech_model: model, status, code, ...(cause !== undefined && { err: cause }) };
    log.warn(why, 'an answer could not be spoken');
    return toldRefusal(error, model);
  }
}

/** How long to wait before another try; null where none would help. */
function retryWaitMs(error: unknown): number | null {
  if (!(error instanceof ApiError) || error.headers['x-should-retry'] === 'false') return null;
  if (error.status < 500 && error.status !== 429) return null;
  const { 'retry-after-ms': ms, 'retry-after': seconds } = error.headers;
  const askedMs = Number(ms ?? Number(seconds ?? 0) * 1_000);
  const waitMs = Number.isFinite(askedMs) ? Math.max(RETRY_MS, askedMs) : RETRY_MS;
  return waitMs <= MAX_RETRY_MS ? waitMs : null;
}

/** Answers with sound are made of a text that a run has cost: clients should not have it made again by themselves. */
const NEVER = { 'x-should-retry': 'false' };

function toldRefusal(error: ApiError, model: string): ApiError {
  const { status, type, code, message, headers } = error;
  switch (status) {
    case 404:
    case 405:
    case 501: {
      const advice = `Set SPEECH_BASE_URL to a server that has '${PATH}', and SPEECH_MODEL, which is '${model}', to a model that speaks there; or ask without 'audio' in 'modalities'.`;
      return new ApiError(400, `The answer cannot be spoken. ${message} ${advice}`, {
        param: 'modalities',
        code: 'speech_unavailable',
        headers: NEVER,
      });
    }
    case 400:
    case 413:
    case 422: {
      const param = /voice/i.test(`${error.param} ${message}`) ? 'audio.voice' : 'audio';
      const text = `The speech server refused to speak with the model '${model}'. It said: ${message}`;
      return new ApiError(400, text, { param, code: code ?? 'invalid_value', headers: NEVER });
    }
    default: {
      const text = `The answer could not be spoken. ${message}`;
      const kind = status < 500 ? type : 'server_error';
      return new ApiError(status, text, { type: kind, code, headers: { ...headers, ...NEVER } });
    }
  }
}

/** How files begin that are no bare samples. */
const FILES = { RIFF: 'a WAV file', ID3: 'an MP3 file', OggS: 'an Ogg file', fLaC: 'a FLAC file' };

/** @throws {ApiError} 502 for what would be noise if it were played. */
function requireSound(upstream: string, format: ServerFormat, type: string, first: Uint8Array): void {
  const where = `The upstream '${upstream}' answered '${PATH}' with`;
  if (/^\s*(?:application\/(?:problem\+)?json|text\/)/i.test(type))
    throw noSound(`${where} '${type}', and not with sound.`);
  if (format !== 'pcm') return;
  const beginning = Buffer.from(first.subarray(0, 4)).toString('latin1');
  const file = Object.entries(FILES).find(([mark]) => beginning.startsWith(mark));
  if (file === undefined) return;
  throw noSound(
    `${where} ${file[1]}, although bare samples were asked for ('response_format': 'pcm'). Set SPEECH_BASE_URL to a server that makes them.`,
  );
}

function noSound(message: string): ApiError {
  return new ApiError(502, message, { type: 'server_error', code: 'upstream_error', headers: NEVER });
}
