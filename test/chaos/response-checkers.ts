/**
 * Holds every response against what was promised: its stream, on every reading and as its client heard it, what is retrieved, what
 * went in, what its conversation holds, and what the model was told of everything before.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { TURN_USAGE } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { MAY_END, mayFailFor, type Violation, type Wrong } from './checkers.ts';
import type { Outcome } from './clients.ts';
import type { CountingModel } from './model.ts';
import { officialClient } from './official.ts';
import { forkQuestionOf, turnOf, wordsOf, type RunPlan } from './plan.ts';
import { problemsOfResponse } from './response-order.ts';
import type { Answered } from './responses.ts';

const itemSchema = z.looseObject({
  id: z.string(),
  type: z.string(),
  role: z.string().optional(),
  content: z.array(z.looseObject({ text: z.string() })).optional(),
  call_id: z.string().optional(),
  output: z.string().optional(),
});
const responseSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  output: z.array(itemSchema),
  error: z.looseObject({ message: z.string() }).nullable(),
  usage: z.looseObject({ total_tokens: z.number() }).nullable(),
});
const eventSchema = z.looseObject({ type: z.string(), response: z.unknown().optional() });
const listSchema = z.looseObject({ data: z.array(itemSchema) });

type Item = z.infer<typeof itemSchema>;
type Response = z.infer<typeof responseSchema>;

/** A response that is there, and how its client met it. */
interface Kept {
  readonly answered: Answered;
  readonly response: Response;
}

/** Everything that is wrong with the responses of one client. @param origins those of all API processes */
export async function checkResponses(
  { plan, answered, problem }: Outcome,
  origins: readonly string[],
  model: CountingModel,
): Promise<readonly Violation[]> {
  const found: Violation[] = [];
  const about =
    (runId: string | null): Wrong =>
    (rule, detail) =>
      void found.push({ rule, runId, detail: `${plan.client} ${plan.index}: ${detail}` });
  if (problem !== null) about(null)('every client lives to its end', problem);
  const checker = new Checker(plan, origins, model);
  const kept: Kept[] = [];
  for (const one of answered) {
    const response = await checker.checkOne(one, about(one.id.replace('resp_', 'run_')));
    if (response !== null) kept.push({ answered: one, response });
  }
  const failed = kept.filter(({ response }) => response.status === 'failed').length;
  if (failed > 1) about(null)('every run ends as its plan lets it', `${failed} responses failed`);
  await checker.checkRuns(answered, about(null));
  if (problem !== null) return found;
  const made = kept.filter(({ response }) => response.status !== 'failed');
  await checker.checkConversation(made, about(null));
  checker.checkTold(made, about(null));
  return found;
}

class Checker {
  readonly #plan: RunPlan;
  readonly #origins: readonly string[];
  readonly #wires: readonly Wire[];
  readonly #model: CountingModel;

  constructor(plan: RunPlan, origins: readonly string[], model: CountingModel) {
    this.#plan = plan;
    this.#origins = origins;
    this.#wires = origins.map((origin) => new Wire(`${origin}/v1`));
    this.#model = model;
  }

  /** @returns the response; null where it is not there. */
  async checkOne(answered: Answered, wrong: Wrong): Promise<Response | null> {
    const path = `/responses/${answered.id}`;
    const reply = await this.#ask(path);
    if (reply.status !== 200) {
      wrong('no promised run is lost', `${reply.status} ${reply.text}`);
      return null;
    }
    const response = responseSchema.parse(reply.body);
    this.#checkEnd(answered, response, wrong);
    await this.#checkStream(answered, reply.body, wrong);
    if (response.status === 'failed') return response;
    const { data } = listSchema.parse((await this.#ask(`${path}/input_items?order=asc&limit=100`)).body);
    if (!isDeepStrictEqual(data.map(wordsIn), answered.input))
      wrong('what a response brought is listed', `${told(data)} instead of ${answered.input.join(' | ')}`);
    return response;
  }

  /** Each response is one run, and in its threads there is no other. */
  async checkRuns(answered: readonly Answered[], wrong: Wrong): Promise<void> {
    const ids = answered.map(({ id }) => id.replace('resp_', 'run_'));
    const threads = new Set(ids.map((id) => `thread_${id.split('_')[2]}`));
    const lists = await Promise.all(
      [...threads].map(async (id) => this.#wires[0]?.list(`/threads/${id}/runs?limit=100`)),
    );
    const runs = lists.flatMap((list) => list ?? []).map(({ id }) => id);
    if (!isDeepStrictEqual(runs.toSorted(), ids.toSorted()))
      wrong('one request makes one run', `${runs.join()} instead of ${ids.join()}`);
  }

  /** A conversation has what went into each response and came out of it, in order; nothing of those that failed and were asked for again. */
  async checkConversation(made: readonly Kept[], wrong: Wrong): Promise<void> {
    const conversation = made[0]?.answered.conversation ?? null;
    if (conversation === null) return;
    const path = `/conversations/${conversation}/items?order=asc&limit=100`;
    const { data } = listSchema.parse((await this.#ask(path)).body);
    const wanted = made.flatMap(({ answered, response }) => [
      ...answered.input,
      ...response.output.map(wordsIn),
    ]);
    if (!isDeepStrictEqual(data.map(wordsIn), wanted))
      wrong('a conversation has every item once', `${told(data)} instead of ${wanted.join(' | ')}`);
    if (new Set(data.map(({ id }) => id)).size !== data.length)
      wrong('a conversation has every item once', `an id twice: ${data.map(({ id }) => id).join()}`);
    const shown = new Set(data.map(({ id }) => id));
    const missing = made.flatMap(({ response }) => response.output).filter(({ id }) => !shown.has(id));
    if (missing.length > 0) wrong('a conversation has every item once', `under another id: ${told(missing)}`);
  }

  /** The model was told all that was said before, once, and nothing of what stands beside. */
  checkTold(made: readonly Kept[], wrong: Wrong): void {
    const plan = this.#plan;
    const wantedBefore = (turn: number): readonly string[] => {
      const before = made.filter(({ answered }) => answered.turn < Math.min(turn, plan.turns.length));
      const isFork = turn >= plan.turns.length;
      const own = isFork ? [forkQuestionOf(plan, turn - plan.turns.length)] : inputOf(made, turn);
      return joined([
        ...before.flatMap(({ answered, response }) => [
          ...saidTo(answered.turn, answered.input),
          ...response.output.map(toldOf),
        ]),
        ...saidTo(isFork ? 0 : turn, own),
      ]);
    };
    for (const { turn, history } of this.#model.asked.filter((asked) => asked.plan === plan)) {
      const wanted = wantedBefore(turn);
      if (!isDeepStrictEqual(history, wanted))
        wrong(
          'the model is told everything before, once',
          `turn ${turn}: ${history.join(' | ')} instead of ${wanted.join(' | ')}`,
        );
    }
  }

  #checkEnd({ turn, ended, conversation }: Answered, response: Response, wrong: Wrong): void {
    const plan = this.#plan;
    const { status, output, usage, error } = response;
    const isCancelled = status === 'cancelled' && !(plan.cancels && turn === 0);
    const mayEnd = mayFailFor(plan) ? ['failed', ...MAY_END[plan.client]] : MAY_END[plan.client];
    if (isCancelled || !mayEnd.includes(status))
      wrong(
        'every run ends as its plan lets it',
        `turn ${turn}, upstream ${plan.upstream}: ${status} ${error?.message}`,
      );
    const isSame =
      isWithdrawn({ conversation }, status) || isDeepStrictEqual(ids(ended?.output), ids(output));
    if (ended !== null && (ended.status !== status || !isSame))
      wrong(
        'what ended stays as it is',
        `was ${ended.status} ${told(ended.output)}, is ${status} ${told(output)}`,
      );
    if (status !== 'completed') return;
    const words = wordsOf(plan, turn).join('');
    const calls = output.filter(({ type }) => type === 'function_call').length;
    const wanted = [...(words === '' ? [] : [words]), ...Array<string>(calls).fill('call')];
    if (calls !== turnOf(plan, turn).calls || !isDeepStrictEqual(output.map(wordsIn), wanted))
      wrong('every turn is said once', `${told(output)} instead of "${words}" and its calls`);
    // What the model was not asked to say is an estimate.
    const isCounted = !this.#model.asked.some((asked) => asked.plan === plan && !asked.wantsUsage);
    if (isCounted && usage?.total_tokens !== TURN_USAGE.total_tokens)
      wrong('every turn is paid once', `${usage?.total_tokens} tokens`);
  }

  /** Its stream, read again at every API process, from the beginning and from the middle. */
  async #checkStream({ id, events, conversation }: Answered, body: unknown, wrong: Wrong): Promise<void> {
    const path = `/responses/${id}?stream=true`;
    const texts = await Promise.all(
      this.#wires.map(async (wire) => plain((await wire.ask('GET', path)).text)),
    );
    const [text = ''] = texts;
    if (texts.some((other) => other !== text))
      wrong('every reading has the same frames', texts.join('\n---\n'));
    const frames = framesIn(text);
    const log = frames.map(({ data }) => data);
    for (const problem of problemsOfResponse(log)) wrong('a stream is in order', problem);
    const last = responseSchema.parse(eventSchema.parse(log.at(-1)).response);
    const retrieved = responseSchema.parse(body);
    const left = isWithdrawn({ conversation }, retrieved.status) ? { output: last.output } : {};
    if (!isDeepStrictEqual(last, { ...retrieved, ...left }))
      wrong('a stream ends with what is retrieved', `${JSON.stringify(last)} ${JSON.stringify(retrieved)}`);
    if (events !== null && !isDeepStrictEqual(events.slice(), log.slice(0, events.length)))
      wrong(
        'a reader hears every event once',
        `${numbers(events)} instead of ${numbers(log)}: ${JSON.stringify(events)}, ${text}`,
      );
    const middle = Math.floor(frames.length / 2);
    const rest = plain((await this.#ask(`${path}&starting_after=${middle}`)).text);
    const wanted = [...frames.slice(middle + 1).map(({ frame }) => frame), DONE].join('\n\n');
    if (rest !== `${wanted}\n\n`)
      wrong('a stream goes on behind a number', `${middle}: ${rest} instead of ${wanted}`);
    const helper = officialClient(this.#origins.at(-1) ?? '').responses.stream({ response_id: id });
    const final = await helper.finalResponse().catch((error: unknown) => String(error));
    if (typeof final === 'string' || !isDeepStrictEqual(ids(final.output), ids(last.output)))
      wrong("the SDK's helper understands a stream", typeof final === 'string' ? final : told(final.output));
  }

  async #ask(path: string): ReturnType<Wire['ask']> {
    const [wire] = this.#wires;
    if (wire === undefined) throw new Error('there is no API');
    return wire.ask('GET', path);
  }
}

const DONE = 'data: [DONE]';

/** What failed in a conversation is taken out of it when its client asks again, and shows nothing from then on. */
const isWithdrawn = ({ conversation }: Pick<Answered, 'conversation'>, status: string): boolean =>
  status === 'failed' && conversation !== null;

/** Without heartbeats. */
const plain = (text: string): string => text.replaceAll(': ping\n', '');

/** The frames of a whole stream, without its last line. */
function framesIn(text: string): readonly { readonly frame: string; readonly data: unknown }[] {
  const frames = text.split('\n\n').filter((frame) => frame !== '' && frame !== DONE);
  return frames.map((frame) => {
    const [, type = '', json = 'null'] = /^event: (.+)\ndata: (.+)$/.exec(frame) ?? [];
    const data: unknown = JSON.parse(json);
    if (eventSchema.safeParse(data).data?.type !== type) throw new Error(`not a frame: ${frame}`);
    return { frame, data };
  });
}

/** What an item says: the text of a message, the output of a call, or that it is a call. */
function wordsIn({ type, content = [], output = '' }: Item): string {
  return type === 'function_call' ? 'call' : content.map(({ text }) => text).join('') + output;
}

/** How the model is told of an item of an output. */
const toldOf = (item: Item): string =>
  item.type === 'function_call' ? 'calls look_up' : `assistant ${wordsIn(item)}`;

/** How the model is told of what a response of this turn brought. */
const saidTo = (turn: number, input: readonly string[]): readonly string[] =>
  input.map((text) => `${turn === 0 ? 'user' : 'tool'} ${text}`);

/** What the user says after an answer of no words stands in one message with what was said before. */
function joined(history: readonly string[]): readonly string[] {
  return history.reduce<string[]>((all, said) => {
    const isMore = said.startsWith('user ') && all.at(-1)?.startsWith('user ') === true;
    if (!isMore) return [...all, said];
    return [...all.slice(0, -1), `${all.at(-1)}\n\n${said.slice('user '.length)}`];
  }, []);
}

/** What was to be brought in a turn. */
function inputOf(made: readonly Kept[], turn: number): readonly string[] {
  return made.find(({ answered }) => answered.turn === turn)?.answered.input ?? [];
}
const told = (items: readonly unknown[]): string => JSON.stringify(items);
const ids = (items: readonly { readonly id?: string | null | undefined }[] = []): readonly unknown[] =>
  items.map(({ id }) => id);
const numbers = (events: readonly unknown[]): string =>
  events.map((event) => z.looseObject({ sequence_number: z.number() }).parse(event).sequence_number).join();
