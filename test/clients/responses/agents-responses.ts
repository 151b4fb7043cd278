/** What an application of OpenAI's Agents SDK for Node does, told as one JSON object. Arguments: the base URL, and that of an MCP server. */
import {
  Agent,
  OpenAIConversationsSession,
  OpenAIProvider,
  Runner,
  hostedMcpTool,
  setTracingDisabled,
  tool,
} from '@openai/agents';
import OpenAI from 'openai';
import { z } from 'zod';

setTracingDisabled(true);
const client = new OpenAI({ baseURL: process.argv[2] ?? '', apiKey: 'any', maxRetries: 0 });
const runner = new Runner({ modelProvider: new OpenAIProvider({ openAIClient: client }) });
const weather = tool({
  name: 'weather',
  description: 'The weather in a city.',
  parameters: z.object({ city: z.string() }),
  execute: ({ city }) => `sunny in ${city}`,
});
const agent = new Agent({ name: 'Forecaster', model: 'm', tools: [weather] });

const { finalOutput: answer } = await runner.run(agent, 'weather?');

const stream = await runner.run(agent, 'weather?', { stream: true });
const words = await Array.fromAsync(stream.toTextStream());
await stream.completed;

const first = await runner.run(agent, 'I drink tea.');
const previousResponseId = first.lastResponseId ?? '';
const { finalOutput: remembered } = await runner.run(agent, 'What do I drink?', { previousResponseId });
const { finalOutput: continued } = await runner.run(agent, 'weather?', { previousResponseId });

const session = new OpenAIConversationsSession({ client });
for (let number = 0; number < 20; number += 1) await runner.run(agent, `say ${number}`, { session });
await runner.run(agent, 'weather?', { session });
const { finalOutput: heard } = await runner.run(agent, 'What do I drink?', { session });
const items = await session.getItems();
const popped = await session.popItem();
const last = await session.getItems(5);
await session.clearSession();

const specialist = new Agent({ name: 'Specialist', model: 'm', handoffDescription: 'Knows more.' });
const triage = Agent.create({ name: 'Triage', model: 'm', handoffs: [specialist] });
const handed = await runner.run(triage, 'hand over');

const remover = new Agent({
  name: 'Remover',
  model: 'm',
  tools: [
    hostedMcpTool({
      serverLabel: 'library',
      serverUrl: process.argv[3] ?? '',
      requireApproval: 'always',
      onApproval: async (_, { rawItem }) => ({ approve: 'name' in rawItem && rawItem.name === 'remove' }),
    }),
  ],
});
const { finalOutput: approved } = await runner.run(remover, 'remove the tea');

console.log(
  JSON.stringify({
    answer,
    streamed: [words.join(''), stream.finalOutput],
    remembered,
    continued,
    heard,
    session: items.length,
    popped: popped?.type === 'message' ? [popped.type, popped.role] : popped,
    last: last.length,
    approved,
    handoff: [handed.finalOutput, handed.lastAgent?.name],
  }),
);
