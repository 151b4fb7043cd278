/**
 * The Responses API over a WebSocket: each message asks for a response, and its events come as messages. Responses of one
 * lane come one after the other. The last response of each lane can be continued although it is not kept, as long as the
 * connection lives.
 */
import { z } from 'zod';
import type { ApiError } from '../../errors.ts';
import { isRecord } from '../../runs/record.ts';
import { NO_USAGE } from '../../runs/thread.ts';
import { LogGone } from '../../store/follow.ts';
import type { RunRef } from '../../store/keys.ts';
import type { StoredRun } from '../../store/runs.ts';
import { jsonBytes, runBytes } from '../../turns/budgets.ts';
import { cancelRun } from '../../turns/changes.ts';
import { timed } from '../../turns/server-timing.ts';
import type { Call } from '../http/call.ts';
import { encoded } from '../http/encode.ts';
import { refusalOfError, type Endpoint } from '../http/endpoint.ts';
import type { FrameCall } from '../http/frame-call.ts';
import type { MessageSocket, Retirement, SocketServer } from '../http/message-socket.ts';
import type { Services } from '../http/services.ts';
import {
  brokenOff,
  noBackground,
  stopping,
  timeIsUp,
  tooMany,
  unknownType,
  upgradeRequired,
} from './connection-refusals.ts';
import { createResponse, prepareResponse, type KnownBefore } from './create.ts';
import { FrameWriter, type FrameForm } from './frame-writer.ts';
import { ResponsesEncoder } from './frames.ts';
import { runOf } from './ids.ts';
import { inputTooLarge } from './sizes.ts';
import { body, type ResponseBody } from './request.ts';
import { responseObject } from './response.ts';
import { sealerOf } from './sealing.ts';

/** Responses of one connection that may be under way at a time, and lanes that it may have had; as at the hosted API. */
const MAX_IN_FLIGHT = 16;
const MAX_LANES = 32;
/** Requests that may wait in one lane. */
const MAX_WAITING = 16;
/** What can be continued is kept from expiring so often; shorter than logs are kept after their runs. */
const KEEP_EVERY_MS = 30_000;
const GOING_AWAY = 1001;
const MAX_NAME_LENGTH = 64;

const frame = z.looseObject({
  type: z.literal('response.create'),
  stream_id: z.string().min(1).max(MAX_NAME_LENGTH).nullish(),
  /** False: the request is read, and what continues it need not bring it again. */
  generate: z.boolean().nullish(),
});

/** What can be continued. */
type Last =
  | {
      readonly type: 'run';
      readonly ref: RunRef;
      readonly isKept: boolean;
      /** One run of each thread in which something stands that it goes on from and that is not kept. */
      readonly needs: ReadonlyMap<string, RunRef>;
    }
  /** A request that never became a run. */
  | {
      readonly type: 'warm';
      readonly runId: string;
      readonly given: ResponseBody;
      readonly release: () => void;
    };

interface ResponseLane {
  readonly streamId: string | null;
  readonly waiting: (() => void)[];
  isBusy: boolean;
  last: Last | null;
}

export function socketEndpoint(services: Services): Endpoint {
  return {
    method: 'GET',
    path: '/responses',
    handle: (call) => {
      if (!call.wantsSocket) throw upgradeRequired();
      services.admission.admitStream(call.gone);
      return { type: 'socket', serve: (socket) => new Connection(services, call, socket) };
    },
  };
}

/** One connection. */
class Connection implements SocketServer {
  readonly #services: Services;
  readonly #call: Call;
  readonly #socket: MessageSocket;
  readonly #lanes = new Map<string | null, ResponseLane>();
  #inFlight = 0;
  #retired: Retirement | null = null;

  constructor(services: Services, call: Call, socket: MessageSocket) {
    this.#services = services;
    this.#call = call;
    this.#socket = socket;
    const keeping = setInterval(() => void this.#keep(), KEEP_EVERY_MS);
    call.gone.addEventListener('abort', () => clearInterval(keeping));
  }

  hear(text: string, release: () => void): void {
    const call = this.#call.frame(text, release);
    let streamId: string | null = null;
    try {
      const given = call.json();
      streamId = streamIdIn(given);
      const asked = readFrame(call, given);
      const lane = this.#laneOf(asked.stream_id ?? null);
      this.#take(lane, call, asked);
    } catch (error) {
      release();
      this.#refuse(error, call, streamId);
    }
  }

  refuse(error: ApiError): void {
    this.#tell(error, null);
  }

  retire(why: Retirement): void {
    if (this.#retired !== null) return;
    this.#retired = why;
    if (why === 'time') this.#tell(timeIsUp(), null);
    this.#leaveIfIdle();
  }

  cut(): void {
    for (const { isBusy, streamId } of this.#lanes.values()) if (isBusy) this.#tell(stopping(), streamId);
  }

  /** @throws {ApiError} 429 for one lane too many. */
  #laneOf(streamId: string | null): ResponseLane {
    const known = this.#lanes.get(streamId);
    if (known !== undefined) return known;
    if (this.#lanes.size >= MAX_LANES) throw tooMany(`A connection may have ${MAX_LANES} lanes.`);
    const lane: ResponseLane = { streamId, waiting: [], isBusy: false, last: null };
    this.#lanes.set(streamId, lane);
    return lane;
  }

  /** Serves a request when its lane is free. @throws {ApiError} where too much is under way. */
  #take(lane: ResponseLane, call: FrameCall, asked: FrameRequest): void {
    if (this.#retired !== null) throw this.#retired === 'time' ? timeIsUp() : stopping();
    if (lane.isBusy) {
      if (lane.waiting.length >= MAX_WAITING)
        throw tooMany(`${MAX_WAITING} requests wait for this lane already.`);
      lane.waiting.push(() => void this.#serve(lane, call, asked));
      return;
    }
    if (this.#inFlight >= MAX_IN_FLIGHT)
      throw tooMany(`A connection may have ${MAX_IN_FLIGHT} responses under way.`);
    lane.isBusy = true;
    this.#inFlight += 1;
    void this.#serve(lane, call, asked);
  }

  async #serve(lane: ResponseLane, call: FrameCall, asked: FrameRequest): Promise<void> {
    const over = new AbortController();
    const previous = asked.given.previous_response_id ?? null;
    try {
      if (this.#retired !== null) throw stopping();
      // The connection itself is counted as one stream.
      if (this.#inFlight > 1) this.#services.admission.admitStream(over.signal);
      const hasFailed = await this.#respond(lane, call, asked);
      if (hasFailed) this.#forget(previous);
    } catch (error) {
      this.#forget(previous);
      this.#refuse(error, call, lane.streamId);
    } finally {
      over.abort();
      call.release();
      this.#next(lane);
    }
  }

  /** @returns whether the response has failed */
  async #respond(lane: ResponseLane, call: FrameCall, { generate, given }: FrameRequest): Promise<boolean> {
    const continued = this.#named(given.previous_response_id ?? null);
    const whole = continued?.type === 'warm' ? after(continued.given, given) : given;
    const beside: KnownBefore = {
      unkept: this.#unkept(),
      ...(continued?.type === 'warm' && { warmedUp: continued.runId }),
    };
    if (generate === false) {
      await this.#warmUp(lane, call, whole, beside);
      return false;
    }
    const stored = await createResponse(this.#services, call, whole, beside);
    call.release();
    const needs = continued?.type === 'run' ? continued.needs : new Map<string, RunRef>();
    return this.#stream(lane, stored, needs);
  }

  async #stream(lane: ResponseLane, stored: StoredRun, needs: ReadonlyMap<string, RunRef>): Promise<boolean> {
    const { hub, figures } = this.#services;
    const { ref, state } = stored;
    const { ephemeral } = state.origin;
    const encoder = new ResponsesEncoder(-1, sealerOf(this.#services, state), lineOf(lane.streamId));
    try {
      const release = this.#socket.admitBeside(runBytes(state.run));
      try {
        const log = timed(hub.follow(ref, this.#call.gone), stored, figures.firstWord);
        await this.#socket.stream(encoded(log, encoder));
      } finally {
        release();
      }
    } catch (error) {
      throw error instanceof LogGone ? brokenOff() : error;
    } finally {
      // What is not kept has no other reader.
      if (!encoder.isOver && ephemeral) this.#cancel(ref);
    }
    const { status } = encoder.state?.run ?? {};
    const hasFailed = !encoder.isOver || status === 'failed' || status === 'expired';
    const more = new Map(needs).set(ref.threadId, ref);
    this.#remember(
      lane,
      hasFailed ? null : { type: 'run', ref, isKept: !ephemeral, needs: ephemeral ? more : new Map() },
    );
    return hasFailed;
  }

  /** Reads a request and keeps it for the one that continues it. */
  async #warmUp(
    lane: ResponseLane,
    call: FrameCall,
    given: ResponseBody,
    beside: KnownBefore,
  ): Promise<void> {
    const { run, origin } = await prepareResponse(this.#services, call, given, beside);
    const at = this.#services.now();
    const done = { ...run, status: 'completed', started_at: at, completed_at: at, usage: NO_USAGE } as const;
    const writer = new FrameWriter(-1, lineOf(lane.streamId));
    const begun = { response: responseObject(run, origin, [], 'in_progress') };
    // With what the requests before it have brought, which it continues.
    const bytes = jsonBytes(given.input);
    if (bytes > this.#services.settings.promptLimitBytes)
      throw inputTooLarge('input', this.#services.settings);
    const release = this.#socket.admitBeside(bytes);
    this.#remember(lane, { type: 'warm', runId: run.id, given, release });
    await this.#socket.write(
      writer.write('response.created', begun) +
        writer.write('response.in_progress', begun) +
        writer.write('response.completed', { response: responseObject(done, origin, []) }),
    );
  }

  #next(lane: ResponseLane): void {
    const next = lane.waiting.shift();
    if (next !== undefined && !this.#socket.isGone) return next();
    lane.isBusy = false;
    this.#inFlight -= 1;
    this.#leaveIfIdle();
  }

  #leaveIfIdle(): void {
    if (this.#retired === null || this.#inFlight > 0) return;
    if (this.#retired === 'time') this.#socket.close();
    else this.#socket.close(GOING_AWAY, 'The server stops.');
  }

  #remember(lane: ResponseLane, last: Last | null): void {
    if (lane.last?.type === 'warm') lane.last.release();
    lane.last = last;
  }

  /** What a request continues, where this connection made it. */
  #named(responseId: string | null): Last | null {
    const lane = this.#laneNamed(responseId);
    return lane?.last ?? null;
  }

  #laneNamed(responseId: string | null): ResponseLane | null {
    const runId = responseId === null ? undefined : runOf('', responseId)?.runId;
    if (runId === undefined) return null;
    const isNamed = ({ last }: ResponseLane): boolean =>
      (last?.type === 'run' ? last.ref.runId : last?.runId) === runId;
    return [...this.#lanes.values()].find(isNamed) ?? null;
  }

  /** A response whose continuation has failed cannot be continued any more, unless it is kept. */
  #forget(responseId: string | null): void {
    const lane = this.#laneNamed(responseId);
    if (lane !== null) this.#remember(lane, null);
  }

  #unkept(): ReadonlySet<string> {
    return new Set(this.#lasting().map(({ ref }) => ref.runId));
  }

  /** Responses that can be continued and are not kept. */
  #lasting(): readonly Extract<Last, { type: 'run' }>[] {
    return [...this.#lanes.values()].flatMap(({ last }) =>
      last?.type === 'run' && !last.isKept ? [last] : [],
    );
  }

  async #keep(): Promise<void> {
    const refs = this.#lasting().flatMap(({ needs }) => [...needs.values()]);
    if (refs.length === 0) return;
    try {
      await this.#services.objects.line.prolong(refs, 3 * KEEP_EVERY_MS);
    } catch (err) {
      this.#call.log.debug({ err }, 'could not keep what a connection may continue');
    }
  }

  #cancel(ref: RunRef): void {
    cancelRun(this.#services, ref).catch((err: unknown) =>
      this.#call.log.warn({ err, run_id: ref.runId }, 'could not cancel a response whose caller has gone'),
    );
  }

  #refuse(error: unknown, { log, requestId }: FrameCall, streamId: string | null): void {
    const refusal = refusalOfError(error, { log, requestId, isGone: this.#socket.isGone });
    this.#tell(refusal, streamId);
  }

  #tell({ status, body: { error } }: ApiError, streamId: string | null): void {
    const event = {
      type: 'error',
      status,
      error: { ...error, code: error.code ?? error.type },
      ...(streamId !== null && { stream_id: streamId }),
    };
    this.#socket.tell(JSON.stringify(event));
  }
}

/** A message, read. */
interface FrameRequest {
  readonly stream_id?: string | null | undefined;
  readonly generate?: boolean | null | undefined;
  readonly given: ResponseBody;
}

function readFrame(call: FrameCall, given: unknown): FrameRequest {
  const type = isRecord(given) ? given['type'] : undefined;
  if (typeof type === 'string' && type !== 'response.create') throw unknownType(type);
  const { stream_id, generate, ...fields } = call.body(frame, given);
  const asked = call.body(body, fields);
  if (asked.background === true) throw noBackground();
  return { stream_id, generate, given: asked };
}

function streamIdIn(given: unknown): string | null {
  const id = isRecord(given) ? given['stream_id'] : null;
  return typeof id === 'string' && id.length <= MAX_NAME_LENGTH ? id : null;
}

/** A request that continues one that never began. */
function after(warm: ResponseBody, given: ResponseBody): ResponseBody {
  return {
    ...given,
    previous_response_id: warm.previous_response_id,
    conversation: given.conversation ?? warm.conversation,
    input: [...warm.input, ...given.input],
  };
}

/** One event on a line of its own. */
function lineOf(streamId: string | null): FrameForm {
  const lane = streamId === null ? '' : `,"stream_id":${JSON.stringify(streamId)}`;
  return (_type, data) => (data === null ? '' : `${data.slice(0, -1)}${lane}}\n`);
}
