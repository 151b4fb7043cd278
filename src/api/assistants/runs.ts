/** Runs: create (alone or with a thread), list, retrieve, modify, cancel, watch; and their steps. */
import { z } from 'zod';
import { notFound, threadBusy } from '../../errors.ts';
import { isOverdue } from '../../runs/run.ts';
import { stepView } from '../../runs/step-view.ts';
import type { Assistant, Message, Metadata, Run, Thread } from '../../runs/thread.ts';
import type { RunRef, ThreadRef } from '../../store/keys.ts';
import { runView } from '../../store/poll-grace.ts';
import type { ReadRun, StoredRun } from '../../store/runs.ts';
import { assistantsStream, watchStream } from './frames.ts';
import { checkMessages, runBytes } from '../../turns/budgets.ts';
import { json, type Answer, type Call, type Endpoint } from '../http/endpoint.ts';
import { idempotencyKey, Unconfirmed } from '../http/idempotency.ts';
import { createRunBody, createThreadAndRunBody, newRun, type RunInput } from './new-run.ts';
import { mapPage, page } from '../http/list.ts';
import { cancelEvents, cancelRun } from '../../turns/changes.ts';
import { sealedKey } from '../../turns/seal-request.ts';
import type { Services } from '../../turns/means.ts';
import * as shapes from '../http/shapes.ts';
import { admitWrite } from '../../turns/trial-writes.ts';
import { newThread } from './threads.ts';

const PATH = '/threads/:thread_id/runs';
const RUN_PATH = `${PATH}/:run_id`;
const modifyBody = z.strictObject({ metadata: shapes.metadata });
const watchQuery = z.object({ after: z.coerce.number().int().min(0).optional() });

export function runEndpoints(services: Services): readonly Endpoint[] {
  const { runs, objects, hub, pressure, now, nowMs, settings } = services;

  /** Answers with a run as it is, and when to ask again. */
  const answer = (run: Run): Answer => ({ type: 'shell-safe', value: run, headers: pollHeaders(services) });

  const create = async (
    call: Call,
    input: RunInput,
    assistant: Assistant | null,
    thread: Thread | null,
    messages: readonly Message[],
  ) => {
    const { project } = call;
    if (assistant === null) throw notFound('assistant', input.assistant_id);
    if (input.stream === true) pressure.admitStream(call.gone);
    pressure.admitRun();
    const threadId = thread?.id ?? call.id('thread_id');
    const made = newRun(input, assistant, {
      ...services,
      newId: call.newId,
      threadId,
      project,
      requestId: call.requestId,
      sealed: sealedKey(services, call),
    });
    call.admit(runBytes(made.run));
    await admitWrite(services, call, { makes: thread?.id ?? '', more: made.run });
    let created = await runs.create(project, { ...made, thread, messages, input: [] });
    // The thread may be held by a run whose time is over, and that nobody has looked at since.
    if (created.type === 'locked') {
      await runs.attend({ project, threadId, runId: created.runId });
      created = await runs.create(project, { ...made, thread, messages, input: [] });
    }
    if (created.type === 'no thread') throw notFound('thread', threadId);
    if (created.type === 'locked') throw threadBusy(threadId, created.runId);
    const { stored, confirmed } = created;
    const first =
      input.stream === true ? runStream(services, call, stored, 0, thread) : answer(stored.state.run);
    if (confirmed) return first;
    // Without a key, and in a thread that nobody knows yet, it could never be asked for.
    if (thread !== null && idempotencyKey(call) === null) await cancelRun(services, stored.ref);
    throw new Unconfirmed(stored.ref.runId, first);
  };

  return [
    {
      method: 'POST',
      path: '/threads/runs',
      handle: async (call) => {
        const { thread: given, ...input } = call.body(createThreadAndRunBody);
        const assistant = await objects.getAssistant(call.project, input.assistant_id);
        const first = { path: 'thread.messages', limitBytes: settings.messageLimitBytes };
        const empty = { tool_resources: {}, metadata: {} };
        const { thread, messages } = newThread(given ?? empty, call, now(), first);
        return create(call, input, assistant, thread, messages);
      },
    },
    {
      method: 'POST',
      path: PATH,
      handle: async (call) => {
        const ref: ThreadRef = { project: call.project, threadId: call.id('thread_id') };
        // Both are looked up at once; what is missing is said in the order of the path, the body, the assistant.
        const [active, assistant] = await Promise.all([
          objects.activeRun(ref),
          objects.getAssistant(call.project, call.peek('assistant_id')),
        ]);
        if (!active.exists) throw notFound('thread', ref.threadId);
        const input = call.body(createRunBody);
        const at = now();
        const added = input.additional_messages ?? [];
        checkMessages(added, (n) => `additional_messages[${n}].content`, settings.messageLimitBytes);
        const messages = added.map((message) =>
          shapes.toMessage(message, ref.threadId, call.newId('msg'), at),
        );
        return create(call, input, assistant, null, messages);
      },
    },
    {
      method: 'GET',
      path: PATH,
      handle: async (call) => {
        const ref: ThreadRef = { project: call.project, threadId: call.id('thread_id') };
        if (!(await objects.hasThread(ref))) throw notFound('thread', ref.threadId);
        return page(call, async (query) => {
          const found = await objects.listRuns(ref, query);
          if (found.type === 'unknown cursor' || !found.items.some((run) => isOverdue(run, now())))
            return found;
          // Ended first, so that no list shows a run alive beyond its time.
          await Promise.all(found.items.map((run) => runs.current({ ...ref, runId: run.id })));
          return objects.listRuns(ref, query);
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
        if (!(await objects.setLabels(stored.ref, runId, metadata))) throw notFound('thread', threadId);
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
          // Closed already or not, the answer says what was accepted.
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
        const { after } = call.query(watchQuery);
        const lastEventId = Number(call.header('last-event-id') ?? '0');
        pressure.admitStream(call.gone);
        call.admitBeside(runBytes(stored.state.run));
        const cursor = after ?? (Number.isInteger(lastEventId) ? lastEventId : 0);
        endInTime(services, call, stored.ref, stored.state.run.expires_at);
        return {
          type: 'events',
          frames: watchStream(
            hub.follow(stored.ref, call.gone),
            cursor,
            runView(stored.state.run, found, nowMs()),
          ),
        };
      },
    },
    {
      method: 'GET',
      path: `${RUN_PATH}/steps`,
      handle: async (call) => {
        const { stored } = await findRun(services, call);
        const { run } = stored.state;
        return page(call, async (query) =>
          mapPage(await objects.listSteps(stored.ref, query), (step) => stepView(step, run)),
        );
      },
    },
    {
      method: 'GET',
      path: `${RUN_PATH}/steps/:step_id`,
      handle: async (call) => {
        const { stored } = await findRun(services, call);
        const id = call.id('step_id');
        const step = await objects.getStep(stored.ref, id);
        if (step === null || step.run_id !== stored.ref.runId) throw notFound('step', id);
        return json(stepView(step, stored.state.run));
      },
    },
  ];
}

/**
 * The run of the path, ended first if its time is over.
 * @throws {ApiError} 404 for the thread, or for the run in it.
 */
export async function findRun({ runs, objects }: Services, call: Call): Promise<ReadRun> {
  const ref: RunRef = { project: call.project, threadId: call.id('thread_id'), runId: call.id('run_id') };
  const found = await runs.current(ref);
  if (found !== null) return found;
  throw (await objects.getThread(ref)) === null
    ? notFound('thread', ref.threadId)
    : notFound('run', ref.runId);
}

/** The Assistants stream of a run, from behind the event with sequence number `after`; it has been admitted. */
export function runStream(
  services: Services,
  call: Call,
  { ref, state }: StoredRun,
  after: number,
  thread: Thread | null,
): Answer {
  call.admitBeside(runBytes(state.run));
  endInTime(services, call, ref, state.run.expires_at);
  const labels = (): Promise<Metadata | null> => services.objects.labels(ref, ref.runId);
  return {
    type: 'events',
    frames: assistantsStream(services.hub.follow(ref, call.gone), { after, thread, labels }),
    headers: pollHeaders(services),
    resume: { ref, after, withThread: thread !== null },
  };
}

/** Timers may go off a millisecond early, when the run's time is not over yet. */
const TIMER_SLACK_MS = 10;

/** A run that no worker takes or sweeps is ended by its reader, or the stream would never end. */
function endInTime({ runs, nowMs }: Services, call: Call, ref: RunRef, expiresAt: number | null): void {
  if (expiresAt === null) return;
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const leftMs = expiresAt * 1000 - nowMs();
    timer = setTimeout(
      () => {
        // The time was corrected meanwhile.
        if (nowMs() < expiresAt * 1000) return wait();
        runs
          .current(ref)
          .catch((err: unknown) => call.log.warn({ err, run_id: ref.runId }, 'could not end the run'));
      },
      Math.max(0, leftMs) + TIMER_SLACK_MS,
    );
  };
  wait();
  call.gone.addEventListener('abort', () => clearTimeout(timer));
}

/** Without it, SDKs poll every 1 to 5 seconds. An integer: a client's `int()` refuses anything else. */
export function pollHeaders({ settings }: Services): Readonly<Record<string, string>> {
  return { 'openai-poll-after-ms': String(settings.pollAfterMs) };
}
