/** Begins the run that a response is. */
import { ApiError } from '../../errors.ts';
import type { RunOrigin } from '../../runs/event.ts';
import type { Assistant, Message, Run } from '../../runs/thread.ts';
import type { DecidedCall, StoredItem } from '../../runs/items.ts';
import type { RunRef } from '../../store/keys.ts';
import { findAgent } from '../../turns/agent.ts';
import { begin, newRun, ThreadGoneOn } from '../../turns/begin.ts';
import { MULTITASK, whenBusy, type Multitask } from '../../turns/settle.ts';
import { steer } from '../../turns/steer.ts';
import { Unconfirmed } from '../../turns/repeat.ts';
import type { StoredRun } from '../../store/runs.ts';
import type { Caller } from '../../turns/caller.ts';
import type { Services } from '../http/services.ts';
import { compactedBefore } from './context-management.ts';
import { claimDecisions, decisionsIn, releaseDecisions, withoutOver } from './decisions.ts';
import { checkCalls, checkedItem, toLine } from './input.ts';
import { conversationId } from './ids.ts';
import { listServers, serversIn, serversShown } from './mcp.ts';
import { checkPictures, checkResources } from './named.ts';
import {
  callsBefore,
  placeNames,
  placeOf,
  saidUntil,
  type AskedPlace,
  type PlaceNames,
  type ResponsePlace,
  type Unkept,
} from './place.ts';
import { resolved } from './references.ts';
import { conversationIn, type ResponseBody } from './request.ts';
import { runRequest, toolsOf } from './run-request.ts';
import { unsealer } from './sealing.ts';
import { checkSizes } from './sizes.ts';

/** So much of what is not kept is said again where it is continued by something that is. */
const MAX_REPEATED = 2_000;

/** A response that can begin. */
export interface Prepared {
  readonly run: Run;
  readonly origin: RunOrigin;
  readonly place: ResponsePlace;
  readonly line: readonly (Message | StoredItem)[];
  /** What it decides about calls that wait for that. */
  readonly decided: readonly DecidedCall[];
}

/** What a connection knows of earlier requests. */
export interface KnownBefore {
  /** What may be continued although it is not kept. */
  readonly unkept?: Unkept;
  /** The run in whose place this one stands: its caller continues that, and it never began. */
  readonly warmedUp?: string;
}

/**
 * Creates the run of a response, with its input.
 * @param beside what is known of the connection that it comes by
 * @throws {ApiError} for whatever is wrong with the request, before anything of it is kept.
 */
export async function createResponse(
  services: Services,
  caller: Caller,
  given: ResponseBody,
  beside: KnownBefore = {},
): Promise<StoredRun> {
  const names = placeNames(caller);
  for (let mayJoin = true; ; mayJoin = false) {
    const looking = { ...beside, mayJoin, names };
    const { place, line: read, decided, ...made } = await prepareResponse(services, caller, given, looking);
    const { runId, threadId } = place;
    const isKept = !made.origin.ephemeral;
    const claimed = await claimDecisions(services, caller.project, decided, { runId, threadId, isKept });
    const line = withoutOver(read, claimed);
    try {
      return await begin<StoredRun>(
        services,
        caller,
        {
          ...made,
          thread: place.thread,
          messages: line,
          input: [],
          ...(place.base !== undefined && { base: place.base }),
          ...(place.expectedOrder !== undefined && { expectedOrder: place.expectedOrder }),
        },
        {
          whenBusy: busyPolicy(services, caller, given, place),
          ...(place.inConversation &&
            decided.length === 0 &&
            steers(given) && { steer: async (holder) => steered(services, caller, holder, line) }),
          answer: (stored) => stored,
          comesBack: caller.idempotencyKey !== null,
        },
      );
    } catch (error) {
      const isMade = error instanceof Unconfirmed;
      if (!isMade && (error instanceof ApiError || error instanceof ThreadGoneOn))
        await releaseDecisions(services, caller.project, claimed);
      // Another response has joined the thread in between: this one goes on from the same place beside it.
      if (!(error instanceof ThreadGoneOn) || !mayJoin) throw error;
    }
  }
}

/**
 * Reads a request, and keeps nothing of it.
 * @throws {ApiError} for whatever is wrong with it.
 */
export async function prepareResponse(
  services: Services,
  caller: Caller,
  given: ResponseBody,
  {
    unkept,
    warmedUp,
    mayJoin = true,
    names = placeNames(caller),
  }: KnownBefore & { readonly mayJoin?: boolean; readonly names?: PlaceNames },
): Promise<Prepared> {
  const agent = await agentOf(services, caller, given);
  const asked = askedOf(given, agent);
  const named = serversIn(given.tools ?? []);
  const items = given.input.map((item, index) => checkedItem(item, `input[${index}]`));
  const whole = await resolved(services, caller, items, 'input');
  const found = await placeOf(services, caller, { ...asked, names, ...(unkept && { unkept }) }, mayJoin);
  const place = warmedUp === undefined ? found : { ...found, previous: warmedUp };
  const repeated = place.repeats === undefined ? [] : await saidUntil(services, place.repeats, MAX_REPEATED);
  const shown = [...(place.servers ?? []), ...serversShown(whole)];
  const servers = await listServers(services, caller, named, shown);
  const read = toolsOf(services, given, agent, servers);
  const decided = await decisionsIn(services, whole, { project: caller.project, place, read });
  const making = {
    now: services.now(),
    unseal: unsealer(services, caller.project),
    decided,
    runId: place.runId,
  };
  const line = [...repeated, ...whole].map((item) => toLine(making, caller, place.threadId, item));
  const before = await callsBefore(services, caller.project, place);
  checkCalls(line, before.open, (id) => before.known.has(id));
  const own = line.slice(repeated.length);
  checkSizes(services, own, 'input');
  await checkPictures(services, caller.project, own, 'input');
  await checkResources(services, caller.project, given);
  // Last, because a model has to be asked.
  const context = { given, agent, place, items: whole, open: before.open };
  const compacted = mayJoin ? await compactedBefore(services, caller, context) : null;
  const summary = compacted === null ? [] : [compacted.item];
  const stands = compacted?.stands ?? 0;
  const request = runRequest(services, caller, given, {
    ...asked,
    agent,
    place,
    inputs: whole.length + (stands > 0 ? 1 : 0),
    read,
    servers,
    compacted,
  });
  const joined = line.toSpliced(repeated.length + stands, 0, ...summary);
  return {
    ...newRun(services, caller, place, request),
    place:
      compacted?.expectedOrder === undefined ? place : { ...place, expectedOrder: compacted.expectedOrder },
    line: joined,
    decided: [...decided.values()],
  };
}

/** Where a response is to stand, and what it asks. @throws {ApiError} 400 where that is not said. */
function askedOf(
  given: ResponseBody,
  agent: Assistant | null,
): Omit<AskedPlace, 'names'> & { readonly model: string } {
  const { previous_response_id: previous = null, input, instructions, store } = given;
  const conversation = conversationIn(given);
  const model = given.model ?? agent?.model;
  if (model === undefined) throw missing('model');
  const hasWords = input.length > 0 || Boolean(instructions) || Boolean(agent?.instructions);
  if (!hasWords && previous === null && conversation === null) throw missing('input');
  // What joins a conversation is kept, whatever the request says.
  return { model, previous, conversation, isKept: store !== false || conversation !== null };
}

/** The assistant that answers: a prompt's, or one that is named as the model. */
export async function agentOf(
  services: Services,
  call: Caller,
  { model, prompt }: ResponseBody,
): Promise<Assistant | null> {
  if (prompt == null) return model == null ? null : findAgent(services, call.project, model);
  const agent = await findAgent(services, call.project, prompt.id);
  if (agent !== null) return agent;
  const text = `Prompt '${prompt.id}' not found. A prompt is an assistant here: create one, and send its id or its name.`;
  throw new ApiError(404, text, { param: 'prompt.id' });
}

function busyPolicy(
  services: Services,
  call: Caller,
  given: ResponseBody,
  { inConversation }: ResponsePlace,
): (holder: RunRef) => Promise<void> {
  // A chain branches where its thread has a run.
  if (!inConversation)
    return async () => {
      throw new ThreadGoneOn();
    };
  return whenBusy(services, call, multitaskOf(given), ({ threadId }) => conversationLocked(threadId));
}

/** Whether a request in a busy conversation is taken in by the response that is being made. */
export const steers = ({ metadata, input }: ResponseBody): boolean =>
  metadata?.['multitask'] === 'steer' && input.length > 0;

/** Has a response take in what a request brings. It is answered with that response, as if it had asked for that. */
async function steered(
  services: Services,
  caller: Caller,
  holder: RunRef,
  line: Prepared['line'],
): Promise<StoredRun | null> {
  const at = line.findIndex((each) => each.object === 'thread.item' && each.item.type !== 'message');
  if (at !== -1) throw notSteering(at);
  return steer(services, caller, holder, line, { fromThere: false, answer: (stored) => stored });
}

function notSteering(index: number): ApiError {
  const text = `Invalid 'input[${index}]': a response that is being made takes in messages only. Send other items when it has ended.`;
  return new ApiError(400, text, { param: `input[${index}]`, code: 'invalid_value' });
}

function multitaskOf({ metadata }: ResponseBody): Multitask {
  const asked = metadata?.['multitask'];
  return MULTITASK.find((known) => known === asked) ?? 'reject';
}

export function conversationLocked(threadId: string): ApiError {
  const text = `Another process is currently operating on conversation ${conversationId(threadId)}. Please retry in a few seconds.`;
  return new ApiError(400, text, { param: 'conversation', code: 'conversation_locked' });
}

export function missing(param: string): ApiError {
  return new ApiError(400, `Missing required parameter: '${param}'.`, {
    param,
    code: 'missing_required_parameter',
  });
}
