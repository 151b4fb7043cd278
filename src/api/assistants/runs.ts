/** Runs: create (alone or with a thread), list, retrieve, modify, cancel, watch; and their steps. */
import { z } from 'zod';
import { notFound, threadBusy } from '../../errors.ts';
import { toMessage } from '../../runs/parts.ts';
import { isOverdue } from '../../runs/run.ts';
import { stepView } from '../../runs/step-view.ts';
import type { Assistant, Message, Run, Thread, ToolResources } from '../../runs/thread.ts';
import type { RunRef, ThreadRef } from '../../store/keys.ts';
import type { NewRun } from '../../store/new-run.ts';
import { runView } from '../../store/poll-grace.ts';
import { begin, newRun } from '../../turns/begin.ts';
import { checkMessages, runBytes } from '../../turns/budgets.ts';
import { cancelEvents } from '../../turns/changes.ts';
import { attach, requireAttached, resourcesFrom, type ResourcesInput } from '../../turns/resources.ts';
import { sealedKey } from '../../turns/seal-request.ts';
import { whenBusy } from '../../turns/settle.ts';
import { timedFromStart } from '../../turns/server-timing.ts';
import { steer } from '../../turns/steer.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import { checkPictureFiles } from '../http/picture-files.ts';
import type { Call } from '../http/call.ts';
import { json, type Answer, type Endpoint } from '../http/endpoint.ts';
import { page } from '../http/list.ts';
import { mapPage } from '../../store/collection.ts';
import type { Services } from '../http/services.ts';
import { watchStream } from './frames.ts';
import { viewOf } from './include.ts';
import { createRunBody, createThreadAndRunBody, multitaskOf, runRequest, type RunInput } from './new-run.ts';
import { newThread, withResources, type NewThread } from './new-thread.ts';
import * as shapes from './shapes.ts';
import { endInTime, findRun, pollHeaders, runStream } from './stream.ts';
import { threadFirst } from './thread-first.ts';

const PATH = '/threads/:thread_id/runs';
const RUN_PATH = `${PATH}/:run_id`;
/** Others may begin a run in the moment when one has ended. */
const MAX_LOOKS = 20;
/** A run that was created so many seconds ago at most is watched by the one who began it; its time is known to the second. */
const NEW_S = 2;
const modifyBody = z.strictObject({ metadata: shapes.metadata });
const watchQuery = z.object({
  after: z.coerce.number().int().min(0).optional(),
  thoughts: z.enum(['true', 'false']).optional(),
});

/** A thread that is to be made with its first run, and the resources that its request asks for. */
interface GivenThread extends NewThread {
  readonly asksFor: ResourcesInput | null | undefined;
}

export function runEndpoints(services: Services): readonly Endpoint[] {
  const { runs, objects, hub, admission, now, nowMs, settings } = services;

  /** Answers with the run, and when to ask again. */
  const answer = (run: Run): Answer => ({ type: 'shell-safe', value: run, headers: pollHeaders(services) });

  /** Waits until no run holds the thread, as far as the request says that it wants to. */
  const whenFree = async (ref: ThreadRef, makeRoom: (holder: RunRef) => Promise<void>): Promise<void> => {
    for (let tries = 0; tries < MAX_LOOKS; tries += 1) {
      const { runId } = await objects.threads.activeRun(ref);
      if (runId === null) return;
      await makeRoom({ ...ref, runId });
    }
  };

  const create = async (
    call: Call,
    input: RunInput,
    assistant: Assistant | null,
    given: GivenThread | null,
    messages: readonly Message[],
  ): Promise<Answer> => {
    if (assistant === null) throw notFound('assistant', input.assistant_id);
    if (input.stream === true) admission.admitStream(call.gone);
    const threadId = given?.thread.id ?? call.id('thread_id');
    const ref = { project: call.project, threadId };
    const ids = { runId: call.newId('run'), threadId };
    const sealed = sealedKey(services, call);
    const ask = (resources: ToolResources | null): Pick<NewRun, 'run' | 'origin'> =>
      newRun(services, call, ids, runRequest(services, input, assistant, sealed, resources));
    const asked = multitaskOf(input);
    // There is nothing to take in.
    const how = asked === 'steer' && messages.length === 0 ? 'reject' : asked;
    // Whatever is wrong with the request is told before anything of it is kept.
    let made = ask(null);
    const inThread = given === null ? 'additional_messages' : 'thread.messages';
    await requireAttached(services, call.project, messages, (n) => `${inThread}[${n}].attachments`);
    if (input.tool_resources != null) await resourcesFrom(services, call, input.tool_resources, null);
    const bytes = runBytes(made.run);
    call.admit(bytes);
    const makeRoom = whenBusy(services, call, how, ({ runId }) => threadBusy(threadId, runId));
    const isHosted = made.run.tools.some(({ type }) => type !== 'function');
    let thread: Thread | null = null;
    if (given !== null) {
      ({ thread } = await withResources(services, call, given.asksFor, given, 'thread.'));
      if (isHosted) made = ask(thread.tool_resources);
    } else {
      if (messages.some(({ attachments }) => attachments.length > 0)) {
        if (how !== 'steer') await whenFree(ref, makeRoom);
        await attach(services, call, ref, messages);
      }
      if (isHosted) made = ask((await objects.threads.get(ref))?.tool_resources ?? null);
    }
    return begin<Answer>(
      services,
      call,
      { ...made, thread, messages, input: [] },
      {
        whenBusy: async (holder) => {
          await makeRoom(holder);
          // While it waited it had no room for its answer.
          call.admit(bytes);
        },
        ...(how === 'steer' && {
          steer: async (holder) =>
            steer(services, call, holder, messages, {
              fromThere: input.stream === true,
              answer: (stored, after) => {
                call.admit(runBytes(stored.state.run));
                return input.stream === true
                  ? runStream(services, call, stored, after, null)
                  : answer(stored.state.run);
              },
            }),
        }),
        answer: (stored) =>
          input.stream === true ? runStream(services, call, stored, 0, thread) : answer(stored.state.run),
        // The client does not know the id of a new thread, so without a key it could not ask for the run again.
        comesBack: thread === null || call.idempotencyKey !== null,
      },
    );
  };

  return [
    {
      method: 'POST',
      path: '/threads/runs',
      handle: async (call) => {
        const { thread: given, ...input } = call.body(createThreadAndRunBody);
        const assistant = await objects.assistants.recall(call.project, input.assistant_id);
        const first = { path: 'thread.messages', limitBytes: settings.messageLimitBytes };
        const made = newThread(given ?? { metadata: {} }, call, now(), first);
        const paramOf = (n: number): string => `thread.messages[${n}].content`;
        await checkPictureFiles(services, call.project, made.messages, paramOf);
        return create(call, input, assistant, { ...made, asksFor: given?.tool_resources }, made.messages);
      },
    },
    {
      method: 'POST',
      path: PATH,
      handle: async (call) => {
        const ref: ThreadRef = { project: call.project, threadId: call.id('thread_id') };
        return threadFirst(services, ref, async () => {
          const input = call.body(createRunBody);
          const assistant = await objects.assistants.recall(call.project, input.assistant_id);
          const at = now();
          const added = input.additional_messages ?? [];
          const paramOf = (n: number): string => `additional_messages[${n}].content`;
          checkMessages(added, paramOf, settings.messageLimitBytes);
          await checkPictureFiles(services, call.project, added, paramOf);
          const messages = added.map((message) => toMessage(message, ref.threadId, call.newId('msg'), at));
          return create(call, input, assistant, null, messages);
        });
      },
    },
    {
      method: 'GET',
      path: PATH,
      handle: async (call) => {
        const ref: ThreadRef = { project: call.project, threadId: call.id('thread_id') };
        if (!(await objects.threads.exists(ref))) throw notFound('thread', ref.threadId);
        return page(call, async (query) => {
          const found = await objects.runs.list(ref, query);
          if (found.type === 'unknown cursor' || !found.items.some((run) => isOverdue(run, now())))
            return found;
          // Overdue runs are ended first, so that no list shows one as alive.
          await Promise.all(found.items.map((run) => runs.current({ ...ref, runId: run.id })));
          return objects.runs.list(ref, query);
        });
      },
    },
    {
      method: 'GET',
      path: RUN_PATH,
      handle: async (call) => {
        const found = await findRun(services, call);
        return answer(runView(found.stored.state.run, found, nowMs()));
      },
    },
    {
      method: 'POST',
      path: RUN_PATH,
      handle: async (call) => {
        const found = await findRun(services, call);
        const { stored } = found;
        const { metadata } = call.body(modifyBody);
        if (metadata === undefined) return answer(runView(stored.state.run, found, nowMs()));
        call.admit(runBytes(stored.state.run));
        await admitWrite(services, call, {});
        const { threadId, runId } = stored.ref;
        if (!(await objects.labels.set(stored.ref, runId, metadata))) throw notFound('thread', threadId);
        return answer(runView(stored.state.run, { ...found, labels: metadata }, nowMs()));
      },
    },
    {
      method: 'POST',
      path: `${RUN_PATH}/cancel`,
      handle: async (call) => {
        const { stored: found } = await findRun(services, call);
        call.admit(runBytes(found.state.run));
        let cancelling: Run = found.state.run;
        const changed = await runs.change(found.ref, ({ state }) => {
          const events = cancelEvents(state, now());
          // The answer shows the accepted cancel, whether the run is closed already or not.
          cancelling = { ...state.run, status: 'cancelling', required_action: null };
          return events;
        });
        if (changed === null) throw notFound('run', found.ref.runId);
        return answer(changed.labels === null ? cancelling : { ...cancelling, metadata: changed.labels });
      },
    },
    {
      method: 'GET',
      path: `${RUN_PATH}/events`,
      handle: async (call) => {
        const found = await findRun(services, call);
        const { stored } = found;
        const { after, thoughts } = call.query(watchQuery);
        const lastEventId = Number(call.header('last-event-id') ?? '0');
        admission.admitStream(call.gone);
        call.admitBeside(runBytes(stored.state.run));
        const cursor = after ?? (Number.isInteger(lastEventId) ? lastEventId : 0);
        endInTime(services, call, stored.ref, stored.state.run.expires_at);
        const log = hub.follow(stored.ref, call.gone);
        // Later watchers did not wait for as long as the run has taken.
        const isNew = cursor === 0 && nowMs() / 1_000 - stored.state.run.created_at < NEW_S;
        return {
          type: 'events',
          frames: watchStream(isNew ? timedFromStart(log, stored, services.figures.firstWord) : log, {
            after: cursor,
            run: runView(stored.state.run, found, nowMs()),
            message: async (id) => objects.messages.get(stored.ref, id),
            withThoughts: thoughts === 'true',
          }),
        };
      },
    },
    {
      method: 'GET',
      path: `${RUN_PATH}/steps`,
      handle: async (call) => {
        const { stored } = await findRun(services, call);
        const { run } = stored.state;
        const view = viewOf(call);
        return page(call, async (query) =>
          mapPage(await objects.steps.list(stored.ref, query), async (step) =>
            stepView(await objects.openParts.step(stored.ref, step), run, view),
          ),
        );
      },
    },
    {
      method: 'GET',
      path: `${RUN_PATH}/steps/:step_id`,
      handle: async (call) => {
        const { stored } = await findRun(services, call);
        const id = call.id('step_id');
        const step = await objects.steps.get(stored.ref, id);
        if (step === null || step.run_id !== stored.ref.runId) throw notFound('step', id);
        const whole = await objects.openParts.step(stored.ref, step);
        return json(stepView(whole, stored.state.run, viewOf(call)));
      },
    },
  ];
}
