/** What the service must do over any Redis, played over one of several servers: the essentials, and then servers fail. */
import OpenAI, { NotFoundError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { problemsOf } from '../support/order.ts';
import { startService, type Service } from '../support/service.ts';
import type { Topology } from '../support/topologies.ts';
import { calls, FakeUpstream, gate, says, text } from '../support/upstream.ts';
import { namesOf, runIn, saidIn, Wire, type EventStream, type WireRun } from '../support/wire.ts';
import { Traffic, type Outcome } from '../support/traffic.ts';

const TOOL = { type: 'function' as const, function: { name: 'f' } };
/** The shortest that a busy worker meets. */
const LOCK_MS = 3_000;
const WHOLE = 'Once upon a time';
const ENOUGH = 60;
/** Replication is asynchronous: what was acknowledged just before a server failed may be lost. Nothing older. */
const JUST_BEFORE_MS = 2_000;

/** Describes the scenes over a topology. */
export function describeScenes(name: string, start: () => Promise<Topology>): void {
  describe(`over ${name}`, () => {
    let topology: Topology;
    let upstream: FakeUpstream;
    let service: Service;
    let wire: Wire;
    let assistant_id: string;

    beforeAll(async () => {
      [topology, upstream] = await Promise.all([start(), FakeUpstream.start()]);
      const env = {
        LOCK_MS: String(LOCK_MS),
        CALM_AFTER_SUBMIT_MS: '0',
        DRAIN_MS: '0',
        UPSTREAM_RETRIES: '0',
        SECRET: 'the secret of these tests',
      };
      service = await startService({ redisUrl: topology.url, upstream, workers: 2, env });
      wire = new Wire(service.baseUrl);
      assistant_id = (await wire.ok('POST', '/assistants', { model: 'm', tools: [TOOL] })).id;
    });

    afterAll(async () => {
      await service?.stop();
      await upstream?.stop();
      await topology?.stop();
    });

    /** A run that has said its first words; the model goes on when the door is opened. */
    async function interruptedRun(): Promise<{ run: WireRun; stream: EventStream; open: () => void }> {
      const door = gate();
      upstream.reply(({ text: said }) =>
        said === 'a story' ? [text('Once'), door, ...says(' upon', ' a time')] : undefined,
      );
      const body = { assistant_id, stream: true };
      const stream = await wire.stream('POST', `/threads/${await wire.thread('a story')}/runs`, { body });
      return { run: runIn((await stream.until('thread.message.delta'))[0]), stream, open: door.open };
    }

    /** Runs go on being begun while `fails` happens. The story that is under way goes on to its end. */
    async function whileRunsAreBegun(fails: () => Promise<void>): Promise<Outcome & { failedAtMs: number }> {
      const story = await interruptedRun();
      const traffic = new Traffic(wire, assistant_id);
      await traffic.more(ENOUGH);
      const failedAtMs = performance.now();
      await fails();
      await traffic.more(ENOUGH);
      story.open();
      const frames = await story.stream.rest();
      expect(namesOf(frames).slice(-2)).toEqual(['thread.run.completed', 'done']);
      expect(saidIn(frames)).toContain(' upon a time');
      return { ...(await traffic.outcome()), failedAtMs };
    }

    test('an SDK streams a run, answers its calls, and reads it all back', async () => {
      upstream.reply(({ outputs }) =>
        outputs.length > 0 ? says(...outputs) : calls([{ name: 'f', arguments: {} }]),
      );
      const { threads } = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any' }).beta;
      const thread = await threads.create({ messages: [{ role: 'user', content: 'hi' }] });
      const waiting = await threads.runs.stream(thread.id, { assistant_id }).finalRun();
      const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
      const tool_outputs = [{ tool_call_id: call?.id ?? '', output: 'sunny' }];
      const stream = threads.runs.submitToolOutputsStream(waiting.id, { thread_id: thread.id, tool_outputs });
      expect((await stream.finalRun()).status).toBe('completed');
      expect((await threads.runs.list(thread.id)).data.map(({ id }) => id)).toEqual([waiting.id]);
      expect((await threads.messages.list(thread.id)).data).toHaveLength(2);
      expect(await threads.delete(thread.id)).toMatchObject({ deleted: true });
    });

    describe('responses', () => {
      let client: OpenAI;

      beforeAll(() => {
        client = new OpenAI({ baseURL: service.baseUrl, apiKey: 'any' });
      });

      /** The model says what it was told. */
      const echo = (): void =>
        upstream.reply(({ body }) => says(JSON.stringify(body.messages.map(({ content }) => content))));

      test('go on, branch, are compacted, and go', async () => {
        echo();
        const { responses } = client;
        const first = await responses.create({ model: 'm', input: 'one' });
        const goesOn = { model: 'm', previous_response_id: first.id };
        const second = await responses.stream({ ...goesOn, input: 'two' }).finalResponse();
        expect(JSON.parse(second.output_text)).toEqual(['one', '["one"]', 'two']);
        // The chain has gone on, so this one begins a thread of its own.
        const fork = await responses.create({ ...goesOn, input: 'three' });
        expect(JSON.parse(fork.output_text)).toEqual(['one', '["one"]', 'three']);
        const further = await responses.create({ model: 'm', previous_response_id: fork.id, input: 'four' });
        const heard = ['one', '["one"]', 'three', fork.output_text, 'four'];
        expect(JSON.parse(further.output_text)).toEqual(heard);
        const items = await responses.inputItems.list(further.id);
        expect(items.data).toMatchObject([{ role: 'user', content: [{ text: 'four' }] }]);
        const compacted = await responses.compact({ model: 'm', previous_response_id: further.id });
        expect(compacted.output).toMatchObject([{ type: 'compaction' }]);
        await responses.delete(first.id);
        await expect(responses.retrieve(first.id)).rejects.toThrow(NotFoundError);
        expect(await responses.retrieve(fork.id)).toMatchObject({ output: fork.output });
      });

      test('call, and the next one brings the output', async () => {
        upstream.reply(({ outputs }) =>
          outputs.length > 0 ? says(...outputs) : calls([{ name: 'f', arguments: {} }]),
        );
        const tools = [{ type: 'function' as const, name: 'f', parameters: null, strict: false }];
        const called = await client.responses.create({ model: 'm', input: 'call', tools });
        const [call] = called.output;
        const call_id = call?.type === 'function_call' ? call.call_id : '';
        const output = { type: 'function_call_output' as const, call_id, output: 'sunny' };
        const goesOn = { model: 'm', previous_response_id: called.id };
        expect(await client.responses.create({ ...goesOn, input: [output] })).toMatchObject({
          output_text: 'sunny',
        });
      });

      test('are made in the background, and in conversations', async () => {
        echo();
        const { responses, conversations } = client;
        const begun = await responses.create({ model: 'm', input: 'later', background: true });
        const replayed = await responses.stream({ response_id: begun.id }).finalResponse();
        expect(replayed.output_text).toBe('["later"]');
        expect(await responses.retrieve(begun.id)).toMatchObject({ status: 'completed' });

        const say = (role: 'user' | 'system', content: string) => ({
          type: 'message' as const,
          role,
          content,
        });
        const { id } = await conversations.create({ items: [say('user', 'five')] });
        await conversations.items.create(id, { items: [say('system', 'six')] });
        const said = await responses.create({ model: 'm', conversation: id, input: 'seven' });
        expect(said.output_text).toMatch(/five.*six.*seven/);
        const { data } = await conversations.items.list(id, { order: 'asc' });
        expect(data).toHaveLength(4);
        await conversations.items.delete(data[0]?.id ?? '', { conversation_id: id });
        expect((await conversations.items.list(id)).data).toHaveLength(3);
        await conversations.delete(id);
        await expect(conversations.retrieve(id)).rejects.toThrow(NotFoundError);
      });

      test('are cancelled in the middle, and leave nothing where they are not kept', async () => {
        const { responses } = client;
        const door = gate();
        upstream.reply(() => [text('Once'), door, ...says(' upon', ' a time')]);
        const stream = await responses.create({ model: 'm', input: 'a story', stream: true });
        let [id, last] = ['', ''];
        for await (const event of stream) {
          if (event.type === 'response.created') ({ id } = event.response);
          if (event.type === 'response.output_text.delta') await responses.cancel(id);
          last = event.type;
        }
        door.open();
        expect(last).toBe('response.incomplete');
        expect(await responses.retrieve(id)).toMatchObject({ status: 'cancelled' });

        echo();
        const loose = await responses.create({ model: 'm', input: 'loose', store: false });
        expect(loose.output_text).toBe('["loose"]');
        await expect(responses.retrieve(loose.id)).rejects.toThrow(NotFoundError);
      });
    });

    test('a cancel reaches the worker in the middle of an answer', async () => {
      const { run, stream } = await interruptedRun();
      await wire.ok('POST', `/threads/${run.thread_id}/runs/${run.id}/cancel`);
      expect(namesOf(await stream.rest()).slice(-2)).toEqual(['thread.run.cancelled', 'done']);
    });

    test('readers come, go and come back to a run, and each hears all of it', async () => {
      const { run, stream, open } = await interruptedRun();
      const path = `/threads/${run.thread_id}/runs/${run.id}/events`;
      const leaver = await wire.stream('GET', path);
      const heard = await leaver.until('thread.message.delta');
      leaver.close();
      const last = heard.at(-1)?.id ?? '';
      const [late, back] = await Promise.all([
        wire.stream('GET', path),
        wire.stream('GET', path, { headers: { 'last-event-id': last } }),
      ]);
      open();
      const whole = await late.rest();
      expect(saidIn(whole)).toBe(WHOLE);
      expect([...heard, ...(await back.rest())]).toEqual(whole);
      expect(saidIn(await stream.rest())).toBe(' upon a time');
    });

    test('a worker that is killed is missed, and its run goes on elsewhere', async () => {
      const { run, stream } = await interruptedRun();
      upstream.reply(() => says('Once upon', ' a time'));
      const next = service.startWorker();
      await Promise.all([service.killWorker(0), service.killWorker(1), next]);
      const frames = await stream.rest();
      expect(saidIn(frames)).toBe(WHOLE);
      const whole = await (
        await wire.stream('GET', `/threads/${run.thread_id}/runs/${run.id}/events`)
      ).rest();
      expect(problemsOf(whole.map((frame) => ({ ...frame, id: null })))).toEqual([]);
    });

    test('a planned failover costs a moment, and streams go on', async () => {
      const { lost, failed, failedAtMs } = await whileRunsAreBegun(() => topology.failOver(queueOf(service)));
      expect(failed).toEqual([]);
      expect(lost.filter(({ atMs }) => atMs < failedAtMs - JUST_BEFORE_MS)).toEqual([]);
    });

    test('a master that dies costs seconds, and no older run; what its queue knew is found again', async () => {
      const { lost, failed, failedAtMs } = await whileRunsAreBegun(() => topology.kill(queueOf(service)));
      expect(failed).toEqual([]);
      expect(lost.filter(({ atMs }) => atMs < failedAtMs - JUST_BEFORE_MS)).toEqual([]);
    });
  });
}

/** A key that lies where the queue does. */
const queueOf = ({ redisPrefix }: Service): string => `{${redisPrefix}}`;
