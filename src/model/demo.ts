/**
 * The demo model: a real HTTP server that speaks OpenAI's streaming protocol at the pace of a real model, so that
 * Longrun works in a minute without a key. What it says is in demo-script.ts.
 */
import { LLMock, type ChatCompletionRequest, type FixtureOpts } from '@copilotkit/aimock';
import { answersInChinese, demoReply } from './demo-script.ts';

/** It answers under any other name as well. */
const DEMO_MODEL = 'demo';

/** A first token after 200 to 400 ms, then some 30 a second. */
const PACE = { ttft: 300, tps: 30, jitter: 0.33 };
/** Characters per token, roughly. */
const ENGLISH: FixtureOpts = { streamingProfile: PACE, chunkSize: 5 };
const CHINESE: FixtureOpts = { streamingProfile: PACE, chunkSize: 2 };
/** Requests for other endpoints must not meet the chat's script. */
const CHAT = { endpoint: 'chat' } as const;
const NOT_PLAYED = ['image', 'speech', 'transcription', 'translation'] as const;
const NOT_HERE = {
  status: 404,
  error: {
    message:
      'The demo model only chats, and makes up embeddings. Set OPENAI_BASE_URL to a model server that has this.',
    type: 'invalid_request_error',
    code: 'not_in_demo',
  },
};
/** The mock remembers requests, and requests of devices hold photos. */
const REMEMBERED_REQUESTS = 1;

export interface DemoModel {
  /** The value for OPENAI_BASE_URL; ends in /v1. */
  readonly url: string;
  /** The name that its list of models has. */
  readonly model: string;
  /** Takes no more requests, and ends when the answers under way have ended. */
  readonly stop: () => Promise<void>;
}

export interface DemoOptions {
  /** 0 means any free port. */
  readonly port: number;
  readonly host: string;
  /**
   * The key that every request must bring, not only chats: requests can control the mock, and can read the last chat.
   * Null where only the service can reach it.
   */
  readonly apiKey: string | null;
}

/** Starts the demo model. */
export async function startDemoModel({ port, host, apiKey }: DemoOptions): Promise<DemoModel> {
  const mock = new LLMock({
    port,
    host,
    logLevel: 'silent',
    journalMaxEntries: REMEMBERED_REQUESTS,
    ...(apiKey !== null && { auth: { apiKeys: [apiKey] } }),
  });
  const inChinese = (request: ChatCompletionRequest) => answersInChinese(request);
  // GET /v1/models lists the model that the first two fixtures name; the other two answer under any name.
  mock.on({ ...CHAT, model: DEMO_MODEL, predicate: inChinese }, demoReply, CHINESE);
  mock.on({ ...CHAT, model: DEMO_MODEL }, demoReply, ENGLISH);
  mock.on({ ...CHAT, predicate: inChinese }, demoReply, CHINESE);
  mock.on({ ...CHAT, predicate: () => true }, demoReply, ENGLISH);
  // Embeddings and moderations it makes up by itself.
  for (const endpoint of NOT_PLAYED) mock.on({ endpoint, predicate: () => true }, NOT_HERE);
  await mock.start();
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${mock.port}/v1`,
    model: DEMO_MODEL,
    stop: () => mock.stop(),
  };
}
