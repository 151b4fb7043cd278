/** `GET /usage` tells callers what their own project has used. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { expectRefusal } from '../support/refusal.ts';
import { PASSTHROUGH, withSharedService } from '../support/shared-service.ts';
import { says } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';

const { upstream, service } = withSharedService(PASSTHROUGH);

const as = (key: string): Wire => new Wire(service.baseUrl, { authorization: `Bearer ${key}` });

const usageSchema = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('usage.day'),
      date: z.iso.date(),
      runs: z.record(z.string(), z.number()),
      prompt_tokens: z.number(),
      completion_tokens: z.number(),
      total_tokens: z.number(),
    }),
  ),
  has_more: z.literal(false),
});

const answerSchema = z.object({ usage: z.object({ total_tokens: z.number().min(1) }) });

const DAY_MS = 86_400_000;
const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** What is told of yesterday to tomorrow: the test may run at midnight. */
async function used(wire: Wire): Promise<z.infer<typeof usageSchema>['data']> {
  const from = day(Date.now() - DAY_MS);
  const to = day(Date.now() + DAY_MS);
  return usageSchema.parse((await wire.ask('GET', `/usage?from=${from}&to=${to}`)).body).data;
}

test('runs of every protocol are counted for their own project, as soon as they have ended', async () => {
  upstream.reply(() => says('well'));
  const [own, other] = [as('own key'), as('other key')];
  const { id: assistant_id } = await own.ok('POST', '/assistants', { model: 'm' });
  const run = await own.play(await own.thread('hello'), { assistant_id });
  const body = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };
  const chat = await own.ask('POST', '/chat/completions', { body });
  const spent = [run, chat.body].map((answer) => answerSchema.parse(answer).usage.total_tokens);
  const sum = (days: Awaited<ReturnType<typeof used>>): number =>
    days.reduce((total, { runs }) => total + (runs['completed'] ?? 0), 0);
  let days = await used(own);
  // Counted beside the end of a run, which is told first.
  while (sum(days) < 2) days = await used(own);
  const tokens = days.reduce((total, { total_tokens: some }) => total + some, 0);
  expect(tokens).toBe(spent.reduce((total, some) => total + some, 0));
  expect(await used(other)).toEqual([]);
});

test.each([
  ['?from=yesterday', /'from'/],
  ['?from=2026-02-30', /'from'/],
  ['?from=2026-02-02&to=2026-02-01', /after 'to'/],
  ['?from=2026-01-01&to=2026-12-31', /at most 100/],
])('%s is refused', async (query, message) => {
  const reply = await as('own key').ask('GET', `/usage${query}`);
  expect(reply.status).toBe(400);
  expectRefusal(reply, {
    status: 400,
    type: 'invalid_request_error',
    param: 'from',
    code: 'invalid_value',
    message,
  });
});
