/** Holds every run against what was promised: its log, its messages, its steps, its usage, and what its readers heard. */
import { z } from 'zod';
import { problemsOf } from '../support/order.ts';
import { TURN_USAGE } from '../support/upstream.ts';
import type { Frame, Wire } from '../support/wire.ts';
import type { Outcome } from './clients.ts';
import type { CountingModel } from './model.ts';
import { checkHosted } from './hosted.ts';
import { wordsOf, type RunPlan } from './plan.ts';
import type { Heard, Told } from './reading.ts';

/** Tells of something that is not as it was promised. */
export type Wrong = (rule: string, detail: string) => void;

/** Something that must not be. */
export interface Violation {
  readonly rule: string;
  readonly runId: string | null;
  readonly detail: string;
}

const usageSchema = z.object({
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  total_tokens: z.number(),
});
const runSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  usage: usageSchema.nullable(),
  last_error: z.looseObject({ message: z.string() }).nullable(),
});
const messageSchema = z.looseObject({
  id: z.string(),
  status: z.string().nullish(),
  run_id: z.string().nullable(),
  content: z.array(z.looseObject({ text: z.looseObject({ value: z.string() }) })),
});
const callSchema = z.looseObject({
  id: z.string(),
  function: z.looseObject({ output: z.string().nullable() }).optional(),
});
const detailsSchema = z.looseObject({
  message_creation: z.looseObject({ message_id: z.string() }).optional(),
  tool_calls: z.array(callSchema).default([]),
});
const stepSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  usage: usageSchema.nullable(),
  step_details: detailsSchema,
});
type Call = z.infer<typeof callSchema>;
type Run = z.infer<typeof runSchema>;
type Message = z.infer<typeof messageSchema>;
type Step = z.infer<typeof stepSchema>;

/** What ends a stream. */
const RESTS = /^thread\.run\.(?:requires_action|completed|incomplete|failed|cancelled|expired)$/;

/** How each client's run may end; `failed` only where the model was made to fail. */
export const MAY_END: Readonly<Record<RunPlan['client'], readonly string[]>> = {
  'response stream': ['completed'],
  'response poll': ['completed', 'cancelled'],
  poll: ['completed'],
  stream: ['completed'],
  watch: ['completed'],
  cancel: ['completed', 'cancelled'],
  'submit twice': ['completed'],
  'create and run': ['completed'],
  abandon: ['expired'],
  'server tool': ['completed'],
  chat: ['completed'],
  'file search': ['completed'],
  code: ['completed'],
};

/** Whether the plan lets the model break off in the middle. */
export const mayFailFor = ({ upstream }: RunPlan): boolean =>
  upstream === 'late reset' || upstream === 'stall';

/** Everything that is wrong with one client's run. */
export async function checkOutcome(
  outcome: Outcome,
  wire: Wire,
  model: CountingModel,
): Promise<readonly Violation[]> {
  const { plan, runId, threadId, problem } = outcome;
  const found: Violation[] = [];
  const wrong = (rule: string, detail: string): void => void found.push({ rule, runId, detail });
  if (problem !== null) wrong('every client lives to its end', `${plan.client} ${plan.index}: ${problem}`);
  if (plan.client === 'chat') {
    const words = wordsOf(plan, 0).join('');
    if (outcome.answer !== null && outcome.answer !== words)
      wrong('a chat is answered with what the model said', `${outcome.answer} instead of ${words}`);
    return found;
  }
  if (runId === null || threadId === null) return found;
  const path = `/threads/${threadId}/runs/${runId}`;
  const reply = await wire.ask('GET', path);
  if (reply.status !== 200) {
    wrong('no promised run is lost', `${reply.status} ${reply.text}`);
    return found;
  }
  const run = runSchema.parse(reply.body);
  checkEnd(plan, run, wrong);
  const runs = await wire.list(`/threads/${threadId}/runs`);
  if (runs.length !== 1) wrong('one request makes one run', `${runs.length} in the thread`);
  const steps = z.array(stepSchema).parse(await wire.list(`${path}/steps?order=asc&limit=100`));
  const messages = z
    .array(messageSchema)
    .parse(await wire.list(`/threads/${threadId}/messages?order=asc&limit=100`))
    .filter((message) => message.run_id !== null);
  checkMessages(plan, run, messages, steps, wrong);
  checkUsage(plan, run, steps, model, wrong);
  checkOutputs(outcome, run, steps, model, wrong);
  const log = await readLog(wire, path);
  checkLog(log, messages, wrong);
  for (const heard of outcome.heard) checkHeard(heard, log, wrong);
  for (const told of outcome.told) checkTold(told, log, wrong);
  return found;
}

function checkEnd(plan: RunPlan, run: Run, wrong: Wrong): void {
  const mayFail = mayFailFor(plan);
  if (MAY_END[plan.client].includes(run.status) || (mayFail && run.status === 'failed')) return;
  const because = run.last_error === null ? '' : `: ${run.last_error.message}`;
  wrong(
    'every run ends as its plan lets it',
    `${plan.client}, upstream ${plan.upstream}: ${run.status}${because}`,
  );
}

function checkMessages(
  plan: RunPlan,
  run: Run,
  messages: readonly Message[],
  steps: readonly Step[],
  wrong: Wrong,
): void {
  const written = steps
    .filter(({ status }) => status !== 'failed' || run.status === 'failed')
    .flatMap(({ step_details: details }) => details.message_creation?.message_id ?? []);
  const kept = messages.map(({ id }) => id);
  // A run that failed leaves the words it died on; what was dropped before is named by a failed step as well.
  const missing = run.status === 'failed' ? [] : written.filter((id) => !kept.includes(id));
  const stray = kept.filter((id) => !written.includes(id));
  if (missing.length + stray.length > 0 || new Set(kept).size !== kept.length)
    wrong('one message for each message step', `missing ${missing.join()}, without a step ${stray.join()}`);
  if (run.status !== 'completed') return;
  const wanted = plan.turns.map((_, turn) => wordsOf(plan, turn).join('')).filter((text) => text !== '');
  const said = messages.map(textOf);
  if (JSON.stringify(said) !== JSON.stringify(wanted))
    wrong('every turn is said once', `${JSON.stringify(said)} instead of ${JSON.stringify(wanted)}`);
}

function checkUsage(
  plan: RunPlan,
  run: Run,
  steps: readonly Step[],
  model: CountingModel,
  wrong: Wrong,
): void {
  const total = steps.reduce((sum, { usage }) => sum + (usage?.total_tokens ?? 0), 0);
  if (run.usage?.total_tokens !== total)
    wrong("a run's usage is that of its steps", `${run.usage?.total_tokens} and ${total}`);
  if (run.status !== 'completed') return;
  const paid = steps.filter(({ usage }) => usage !== null && usage.total_tokens > 0).length;
  if (paid !== plan.turns.length)
    wrong('every turn is paid once', `${paid} steps have a usage, of ${plan.turns.length} turns`);
  // What the model was not asked to say is an estimate.
  if (model.asked.some((asked) => asked.plan === plan && !asked.wantsUsage)) return;
  const wanted = plan.turns.length * TURN_USAGE.total_tokens;
  if (total !== wanted) wrong('every turn is paid once', `${total} tokens instead of ${wanted}`);
}

function checkOutputs(
  { plan, fileId }: Outcome,
  run: Run,
  steps: readonly Step[],
  model: CountingModel,
  wrong: Wrong,
): void {
  const calls = steps
    .filter(({ status }) => status === 'completed')
    .flatMap(({ step_details: details }) => details.tool_calls);
  const committed = calls.map(outputOf);
  const wanted = plan.turns.reduce((sum, turn) => sum + turn.calls, 0);
  if (run.status === 'completed' && committed.length !== wanted)
    wrong('every call is answered once', `${committed.length} answers instead of ${wanted}`);
  if (plan.client === 'file search' || plan.client === 'code')
    return checkHosted({ plan, fileId, calls, asked: model.asked }, wrong);
  for (const call of calls) {
    const given = [`answer to ${call.id}`, `other answer to ${call.id}`];
    if (plan.client !== 'server tool' && !given.includes(outputOf(call)))
      wrong('a call has the output its client gave', `${call.id}: ${outputOf(call)}`);
  }
  for (const { outputs } of model.asked.filter((asked) => asked.plan === plan)) {
    if (JSON.stringify(outputs) !== JSON.stringify(committed.slice(0, outputs.length)))
      wrong(
        'the model is told what was committed',
        `${outputs.join(' | ')} instead of ${committed.join(' | ')}`,
      );
  }
}

const outputOf = ({ function: called }: Call): string => called?.output ?? '';

/** The whole log, as our own endpoint tells it. */
async function readLog(wire: Wire, path: string): Promise<readonly Heard[]> {
  const stream = await wire.stream('GET', `${path}/events?after=0`);
  const log: Heard[] = [];
  let frames: Frame[] = [];
  for (const frame of await stream.rest()) {
    if (frame.name === 'done') continue;
    frames.push(frame);
    if (frame.id === null) continue;
    log.push({ seq: Number(frame.id), frames });
    frames = [];
  }
  return log;
}

function checkLog(log: readonly Heard[], messages: readonly Message[], wrong: Wrong): void {
  const frames = framesOf(log);
  const order = problemsOf([...frames, { id: null, name: 'done', data: '[DONE]' }]);
  for (const problem of order) wrong('a stream is in order', problem);
  const closing = ['thread.message.completed', 'thread.message.incomplete'];
  const closed = frames
    .filter(({ name }) => closing.includes(name))
    .map(({ data }) => messageSchema.parse(data));
  for (const message of messages) {
    const streamed = closed.find(({ id }) => id === message.id);
    if (streamed === undefined || textOf(streamed) !== textOf(message))
      wrong('what is stored is what was said', `${message.id}: "${textOf(message)}"`);
  }
}

function checkHeard(heard: readonly Heard[], log: readonly Heard[], wrong: Wrong): void {
  if (!isSame(heard, log.slice(0, heard.length)))
    wrong('a reader hears every event once', `${seqs(heard)} instead of ${seqs(log)}`);
}

/** Streams begin with the run's beginning. What the last frame before a rest says may have got labels since. */
function checkTold({ frames, whole }: Told, log: readonly Heard[], wrong: Wrong): void {
  const last = frames.at(-1)?.name ?? 'nothing';
  if (whole && !RESTS.test(last)) wrong('a stream ends where its run rests', last);
  const all = framesOf(log);
  if (!isSame(plain(frames), all.slice(0, frames.length)))
    wrong('a stream tells the log', `${frames.length} frames that the log has otherwise`);
}

const framesOf = (log: readonly Heard[]): readonly Frame[] => plain(log.flatMap(({ frames }) => frames));
const plain = (frames: readonly Frame[]): readonly Frame[] => frames.map((frame) => ({ ...frame, id: null }));
const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
const seqs = (log: readonly Heard[]): string => log.map(({ seq }) => seq).join();
const textOf = ({ content }: Message): string => content.map(({ text }) => text.value).join('');
