/**
 * One table of scenarios, played by the official Node SDKs of four major versions against the running service, for OpenAI
 * and for Azure: what an application built on any of them sees, event by event, and that streams and REST tell the same.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  AZURE_SDKS,
  outputsFor,
  SDKS,
  WEATHER,
  type Client,
  type Event,
  type Stream,
} from '../support/sdks.ts';
import { calls, finish, gate, says, text, TURN_USAGE } from '../support/upstream.ts';
import { HURRIED, withSharedService } from '../support/shared-service.ts';

const RUN_BEGINS = ['thread.run.created', 'thread.run.queued', 'thread.run.in_progress'];
const MESSAGE_STEP = [
  'thread.run.step.created',
  'thread.run.step.in_progress',
  'thread.message.created',
  'thread.message.in_progress',
  'thread.message.delta',
  'thread.message.completed',
  'thread.run.step.completed',
];
const CALLS = [
  'thread.run.step.created',
  'thread.run.step.in_progress',
  'thread.run.step.delta',
  'thread.run.requires_action',
];
/** How the snapshots of older SDKs stay, whatever the last event says. */
const OPEN_MESSAGE = {
  status: 'in_progress',
  completed_at: null,
  incomplete_at: null,
  incomplete_details: null,
};
const RUN_RESUMES = ['thread.run.step.completed', 'thread.run.queued', 'thread.run.in_progress'];

const { upstream, service } = withSharedService(HURRIED);

/** Asks for the weather of the cities once; with the outputs at hand, repeats them. */
function weatherOf(...cities: readonly string[]): void {
  upstream.reply(({ outputs }) =>
    outputs.length > 0
      ? says('It is ', outputs.join(' and '), '.')
      : calls(cities.map((city) => ({ name: 'weather', arguments: { city } }))),
  );
}

describe.each([...SDKS, ...AZURE_SDKS])('$name', (sdk) => {
  let client: Client;
  let assistantId: string;

  beforeAll(async () => {
    client = sdk.connect(service.baseUrl, 'any key');
    assistantId = (await client.createAssistant({ model: 'gpt-4o', tools: [WEATHER] })).id;
  });

  /** A thread in which the user has said `content`. */
  async function threadWith(content: string): Promise<string> {
    return (await client.createThread([{ role: 'user', content }])).id;
  }

  async function textsOf(threadId: string): Promise<readonly string[]> {
    const { data } = await client.listMessages(threadId, { order: 'asc' });
    return data.map(({ content: [part] }) => (part?.type === 'text' ? part.text.value : ''));
  }

  /** What the stream said last of everything, and what the SDK made of it, is what REST shows afterwards. */
  async function expectStored(stream: Stream, events: readonly Event[]): Promise<void> {
    const run = await stream.finalRun();
    const { id: runId, thread_id: threadId } = run;
    const shown = {
      message: (id: string) => client.retrieveMessage(threadId, id),
      // A step shows when its run will expire, until the run has ended, which it does after the step.
      step: async (id: string) => ({ ...(await client.retrieveStep(threadId, runId, id)), expires_at: null }),
    };

    expect(run).toEqual(await client.retrieveRun(threadId, runId));
    for (const message of closedMessages(events)) expect(message).toEqual(await shown.message(message.id));
    for (const step of closedSteps(events))
      expect({ ...step, expires_at: null }).toEqual(await shown.step(step.id));
    for (const message of await stream.finalMessages()) {
      const closing = sdk.closesMessages ? {} : OPEN_MESSAGE;
      expect(withoutIndex(message)).toEqual({ ...(await shown.message(message.id)), ...closing });
    }
    for (const step of await stream.finalRunSteps()) {
      expect(withoutIndex({ ...step, expires_at: null })).toEqual(await shown.step(step.id));
    }
  }

  describe('a run without tools', () => {
    /** Shows A-HELP-01. */
    test('is created and polled until it is completed', async () => {
      const threadId = await threadWith('hello');
      const run = await client.createAndPoll(threadId, { assistant_id: assistantId });
      expect(run).toMatchObject({
        status: 'completed',
        usage: TURN_USAGE,
        last_error: null,
        expires_at: null,
      });
      expect(await textsOf(threadId)).toEqual(['hello', 'You said: hello']);
    });

    /** Shows A-DELTA-08, A-HELP-03, A-INV-10, A-ORDER-01, A-ORDER-02. */
    test('is streamed in the order of the hosted API, and the snapshots are what is stored', async () => {
      const stream = client.stream(await threadWith('hello'), { assistant_id: assistantId });
      const events = await eventsOf(stream);
      expect(namesOf(events)).toEqual([...RUN_BEGINS, ...MESSAGE_STEP, 'thread.run.completed']);
      expect(await stream.finalMessages()).toHaveLength(1);
      expect(await stream.finalRunSteps()).toHaveLength(1);
      await expectStored(stream, events);
    });
  });

  describe('a run that calls a tool', () => {
    /** Shows A-HELP-02, A-OUT-14. */
    test('is answered and polled', async () => {
      weatherOf('Taipei');
      const threadId = await threadWith('weather?');
      const waiting = await client.createAndPoll(threadId, { assistant_id: assistantId });
      expect(waiting).toMatchObject({ status: 'requires_action', usage: null });
      const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
      expect(call).toMatchObject({
        type: 'function',
        function: { name: 'weather', arguments: '{"city":"Taipei"}' },
      });
      const run = await client.submitAndPoll(threadId, waiting.id, outputsFor(waiting, 'sunny'));
      expect(run).toMatchObject({ status: 'completed', required_action: null, usage: { total_tokens: 30 } });
      expect(await textsOf(threadId)).toEqual(['weather?', 'It is sunny.']);
    });

    /** Shows A-DELTA-09, A-HELP-03, A-INV-10, A-LIFE-02, A-LIST-03, A-ORDER-04, A-ORDER-06, A-STEP-07. */
    test('is streamed up to the call, and from the outputs on', async () => {
      weatherOf('Taipei');
      const threadId = await threadWith('weather?');
      const asking = client.stream(threadId, { assistant_id: assistantId });
      const asked = await eventsOf(asking);
      expect(namesOf(asked)).toEqual([...RUN_BEGINS, ...CALLS]);
      const waiting = await asking.finalRun();
      expect(await asking.finalMessages()).toEqual([]);
      await expectStored(asking, asked);
      const telling = client.submitAndStream(threadId, waiting.id, outputsFor(waiting, 'sunny'));
      const told = await eventsOf(telling);
      expect(namesOf(told)).toEqual([...RUN_RESUMES, ...MESSAGE_STEP, 'thread.run.completed']);
      await expectStored(telling, told);
      const { data: steps } = await client.listSteps(threadId, waiting.id);
      expect(steps.map(({ type }) => type)).toEqual(['message_creation', 'tool_calls']);
    });

    /** Shows A-INV-10, A-OUT-01, A-STEP-04. */
    test('may call two at once, which are one step and are answered together', async () => {
      weatherOf('Taipei', 'Paris');
      const threadId = await threadWith('weather?');
      const asking = client.stream(threadId, { assistant_id: assistantId });
      const asked = await eventsOf(asking);
      expect(namesOf(asked)).toEqual([...RUN_BEGINS, ...CALLS]);
      const waiting = await asking.finalRun();
      await expectStored(asking, asked);
      const telling = client.submitAndStream(
        threadId,
        waiting.id,
        outputsFor(waiting, 'sunny', 'wet').toReversed(),
      );
      const told = await eventsOf(telling);
      expect(namesOf(told)).toEqual([...RUN_RESUMES, ...MESSAGE_STEP, 'thread.run.completed']);
      await expectStored(telling, told);
      expect(await textsOf(threadId)).toEqual(['weather?', 'It is sunny and wet.']);
      const { data: steps } = await client.listSteps(threadId, waiting.id);
      expect(steps.at(-1)?.step_details).toMatchObject({
        tool_calls: [
          { function: { name: 'weather', arguments: '{"city":"Taipei"}', output: 'sunny' } },
          { function: { name: 'weather', arguments: '{"city":"Paris"}', output: 'wet' } },
        ],
      });
    });
  });

  describe('a thread created together with its run', () => {
    const thread = { messages: [{ role: 'user' as const, content: 'hello' }] };

    /** Shows A-HELP-04. */
    test('is polled', async () => {
      const run = await client.createThreadAndPoll({ assistant_id: assistantId, thread });
      expect(run.status).toBe('completed');
      expect(await textsOf(run.thread_id)).toEqual(['hello', 'You said: hello']);
    });

    /** Shows A-HELP-04, A-INV-12, A-ORDER-02. */
    test('is streamed, the thread first', async () => {
      const stream = client.createThreadAndStream({ assistant_id: assistantId, thread });
      const order = ['thread.created', ...RUN_BEGINS, ...MESSAGE_STEP, 'thread.run.completed'];
      const events = await eventsOf(stream);
      expect(namesOf(events)).toEqual(order);
      await expectStored(stream, events);
    });
  });

  /** Shows A-CANCEL-05, A-INV-12, A-ORDER-11. */
  test('cancels a run in the middle of its answer, which stays as far as it was said', async () => {
    const door = gate();
    upstream.reply(() => [text('Once upon'), door, text(' a time'), finish('stop')]);
    const threadId = await threadWith(`a story for ${sdk.name}`);
    const stream = client.stream(threadId, { assistant_id: assistantId });
    let runId = '';
    const events = await eventsOf(stream, async ({ event, data }) => {
      if (event === 'thread.run.created') runId = data.id;
      if (event !== 'thread.message.delta') return;
      await expect(client.cancelRun(threadId, runId)).resolves.toMatchObject({ status: 'cancelling' });
    });
    expect(namesOf(events)).toEqual([
      ...RUN_BEGINS,
      ...MESSAGE_STEP.slice(0, 5),
      'thread.run.cancelling',
      'thread.message.incomplete',
      'thread.run.step.cancelled',
      'thread.run.cancelled',
    ]);
    const [message] = await stream.finalMessages();
    await expect(client.retrieveMessage(threadId, message?.id ?? '')).resolves.toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'run_cancelled' },
      content: [{ text: { value: 'Once upon' } }],
    });
    await expectStored(stream, events);
    const request = await upstream.asked(({ text: said }) => said === `a story for ${sdk.name}`);
    await expect(request.closed).resolves.toMatchObject({ by: 'client' });
    await expect(client.createMessage(threadId, { role: 'user', content: 'go on' })).resolves.toBeDefined();
  });
});

/** Every event of a stream, each handed to `react` when it comes. */
async function eventsOf(stream: Stream, react?: (event: Event) => Promise<void>): Promise<readonly Event[]> {
  const events: Event[] = [];
  for await (const event of stream) {
    events.push(event);
    await react?.(event);
  }
  return events;
}

/** The names of events, neighbours of the same name counted once. */
function namesOf(events: readonly Event[]): readonly string[] {
  return events.map(({ event }) => event).filter((name, index, all) => name !== all[index - 1]);
}

function closedMessages(events: readonly Event[]) {
  return events.flatMap(({ data }) =>
    'object' in data && data.object === 'thread.message' && data.status !== 'in_progress' ? [data] : [],
  );
}

function closedSteps(events: readonly Event[]) {
  return events.flatMap(({ data }) =>
    'object' in data && data.object === 'thread.run.step' && data.status !== 'in_progress' ? [data] : [],
  );
}

/** SDKs leave the `index` of a delta's entries in what they build of them. */
function withoutIndex(value: object): unknown {
  return JSON.parse(JSON.stringify(value, (key, inner: unknown) => (key === 'index' ? undefined : inner)));
}
