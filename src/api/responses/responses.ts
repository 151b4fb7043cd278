/** The Responses API: create, stream, retrieve, cancel and delete responses, and list what went into them. */
import { z } from 'zod';
import { ApiError } from '../../errors.ts';
import { estimateTokens } from '../../runs/tokens.ts';
import { isTerminal } from '../../runs/run.ts';
import type { Message, RunStep } from '../../runs/thread.ts';
import { LogGone } from '../../store/follow.ts';
import type { RunRef } from '../../store/keys.ts';
import type { StoredRun } from '../../store/runs.ts';
import { runBytes } from '../../turns/budgets.ts';
import { cancelEvents, cancelRun } from '../../turns/changes.ts';
import { timed } from '../../turns/server-timing.ts';
import type { Call } from '../http/call.ts';
import { encoded } from '../http/encode.ts';
import { json, type Answer, type Endpoint } from '../http/endpoint.ts';
import type { Services } from '../http/services.ts';
import { createResponse, steers } from './create.ts';
import { BROKEN_OFF } from './frame-writer.ts';
import { ResponsesEncoder } from './frames.ts';
import { responseId } from './ids.ts';
import { inputPage } from './item-list.ts';
import { outputItems, type OutputItem, type View } from './output.ts';
import { responseNotFound, responseOf } from './place.ts';
import { body, type ResponseBody } from './request.ts';
import { shortStream } from './replay.ts';
import { responseObject } from './response.ts';
import { sealerOf } from './sealing.ts';
import { whole } from './whole.ts';

const PATH = '/responses';
const ONE = `${PATH}/:response_id`;
const flag = z
  .union([z.boolean(), z.enum(['true', 'false', '1', '0'])])
  .optional()
  .transform((value) => value === true || value === 'true' || value === '1');
const retrieveQuery = z.looseObject({
  stream: flag,
  starting_after: z.coerce.number().int().min(0).optional(),
});
const EVENT_STREAM = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' };
/** Steps and messages of one run that are shown. */
const MAX_PARTS = 100;

export function responseEndpoints(services: Services): readonly Endpoint[] {
  const { runs, admission, now } = services;

  const find = async (call: Call): Promise<StoredRun> => {
    const id = call.part('response_id');
    const found = await responseOf(services, call.project, id);
    if (found === null) throw responseNotFound(id);
    return found;
  };

  return [
    {
      method: 'POST',
      path: PATH,
      handle: async (call) => {
        const given = call.body(body);
        if (given.stream === true) admission.admitStream(call.gone);
        const stored = await createResponse(services, call, given);
        if (given.stream === true) return stream(services, call, stored, -1, isLeftRunning(given));
        if (given.background === true) return json(await begun(services, stored));
        return json((await whole(services, call, stored)).response);
      },
    },
    {
      method: 'GET',
      path: ONE,
      handle: async (call) => {
        const { stream: streams, starting_after: after } = call.query(retrieveQuery);
        const stored = await find(call);
        if (!streams) return json(await shown(services, stored));
        if (isTerminal(stored.state.run) && !(await services.hub.has(stored.ref))) {
          if (after !== undefined) throw tooOld(responseId(stored.ref.runId));
          const output = await shownOutput(services, stored);
          return { type: 'text', text: shortStream(stored.state, output), headers: EVENT_STREAM };
        }
        admission.admitStream(call.gone);
        return stream(services, call, stored, after ?? -1, true);
      },
    },
    {
      method: 'POST',
      path: `${ONE}/cancel`,
      handle: async (call) => {
        const stored = await find(call);
        const changed = await runs.change(stored.ref, ({ state }) =>
          isTerminal(state.run) ? null : cancelEvents(state, now()),
        );
        if (changed === null) throw responseNotFound(call.part('response_id'));
        const left = await settled(services, call, changed.stored);
        return json(await shown(services, left));
      },
    },
    {
      method: 'DELETE',
      path: ONE,
      handle: async (call) => {
        const { ref, state } = await find(call);
        if (!isTerminal(state.run)) await cancelRun(services, ref);
        await services.objects.line.forgetResponse(ref);
        return json({ id: responseId(ref.runId), object: 'response', deleted: true });
      },
    },
    {
      method: 'GET',
      path: `${ONE}/input_items`,
      handle: async (call) => {
        const stored = await find(call);
        return inputPage(services, call, stored);
      },
    },
    {
      method: 'POST',
      path: `${PATH}/input_tokens`,
      handle: (call) => {
        const { input, instructions, tools } = call.body(body);
        const texts = [
          ...input.map((item) => JSON.stringify(item)),
          instructions ?? '',
          JSON.stringify(tools ?? []),
        ];
        const input_tokens = texts.reduce((sum, text) => sum + estimateTokens(text), 0);
        return json({ object: 'response.input_tokens', input_tokens });
      },
    },
  ];
}

/**
 * Whether the response goes on when its caller hangs up: what is kept does, and what others have asked for; what is not has
 * nobody else to read it.
 */
const isLeftRunning = (given: ResponseBody): boolean =>
  given.store !== false || given.background === true || steers(given);

/** @param after the number of the last frame that the client has; -1 for none */
function stream(services: Services, call: Call, stored: StoredRun, after: number, goesOn: boolean): Answer {
  const { ref, state } = stored;
  call.admitBeside(runBytes(state.run));
  const encoder = new ResponsesEncoder(after, sealerOf(services, state));
  if (!goesOn) {
    call.gone.addEventListener('abort', () => {
      if (encoder.isOver) return;
      cancelRun(services, ref).catch((err: unknown) =>
        call.log.warn({ err, run_id: ref.runId }, 'could not cancel a response whose caller has gone'),
      );
    });
  }
  return {
    type: 'events',
    frames: encoded(timed(services.hub.follow(ref, call.gone), stored, services.figures.firstWord), encoder),
    failure: BROKEN_OFF,
  };
}

/** The run once it has ended, as far as its worker ends it soon: a cancel is accepted before that. */
async function settled(services: Services, call: Call, stored: StoredRun): Promise<StoredRun> {
  if (isTerminal(stored.state.run)) return stored;
  const encoder = new ResponsesEncoder(Infinity, null);
  try {
    for await (const entries of services.hub.follow(stored.ref, call.gone)) {
      for (const entry of entries) encoder.encode(entry);
      if (encoder.isOver) break;
    }
  } catch (error) {
    if (!(error instanceof LogGone)) throw error;
  }
  return (await services.runs.get(stored.ref))?.stored ?? stored;
}

/** A response of the background as its request is answered: one that was sent before may have ended since, and is shown whole. */
async function begun(services: Services, stored: StoredRun): Promise<object> {
  const { run, origin } = stored.state;
  return isTerminal(run) ? shown(services, stored) : responseObject(run, origin, []);
}

/** A response as it is stored. */
async function shown(services: Services, stored: StoredRun): Promise<object> {
  const { run, origin } = stored.state;
  return responseObject(run, origin, await shownOutput(services, stored));
}

async function shownOutput(services: Services, { ref, state }: StoredRun): Promise<readonly OutputItem[]> {
  const view: View = { run: state.run, origin: state.origin, seal: sealerOf(services, state) };
  return outputItems(view, await storedOutput(services, ref));
}

async function storedOutput({ objects }: Services, ref: RunRef): Promise<Parameters<typeof outputItems>[1]> {
  const query = { limit: MAX_PARTS, order: 'asc', after: null, before: null } as const;
  const [steps, messages] = await Promise.all([
    objects.steps.list(ref, query),
    objects.messages.list(ref, ref.runId, query),
  ]);
  const open: readonly RunStep[] = steps.type === 'page' ? steps.items : [];
  const [whole, said, thoughts] = await Promise.all([
    Promise.all(open.map(async (step) => objects.openParts.step(ref, step))),
    Promise.all(
      (messages.type === 'page' ? messages.items : []).map(async (message): Promise<Message> =>
        objects.openParts.message(ref, message),
      ),
    ),
    objects.line.thoughts(
      ref,
      open.map(({ id }) => id),
    ),
  ]);
  return { steps: whole, messages: new Map(said.map((message) => [message.id, message])), thoughts };
}

function tooOld(id: string): ApiError {
  const text = `Response '${id}' ended some time ago, and its stream can no longer be read from a number on. Retrieve it without 'starting_after'.`;
  return new ApiError(400, text, { param: 'starting_after', code: 'response_too_old' });
}
