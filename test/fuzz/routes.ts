/** Every route, each with requests that it takes. What is done to them afterwards is not known here (mutate.ts, disguise.ts). */
import type { Random } from '../chaos/random.ts';
import { get, list, LONG, post, remove, some, type Draft, type Route, type Routes } from './drafts.ts';
import { FILE_ROUTES } from './file-routes.ts';
import { oneOf, type Known } from './known.ts';
import { MODELS } from './model.ts';
import { deep } from './mutate.ts';
import { RESPONSE_ROUTES } from './response-routes.ts';
import { attachments, hostedTools, STORE_ROUTES, toolResources } from './store-routes.ts';

const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
/** Addresses that the guard refuses; none leads to a machine. */
const ADDRESSES = [
  'http://127.0.0.1:1/',
  'http://localhost/a?b=c',
  'http://[::1]/',
  'http://10.0.0.1/',
  'http://name.invalid/',
  'file:///etc/hostname',
];
/** Fine; more than bodies may have; more than a stack holds. */
const DEPTHS = [10, 100, 50_000];
const TOOLS = ['look_up', 'SEARCH', 'clock', 'fetch_page', 'take_a_photo'];

/** What the user says; most words name a behaviour of the model. */
const say = (random: Random): string =>
  random.chance(0.4) ? 'hello' : `model: ${random.pick(Object.keys(MODELS))}`;

const metadata = (random: Random): Record<string, string> =>
  Object.fromEntries(
    Object.entries({ auto_tools: 'true', expires_after_s: '5', backend_id: 'default', a: 'b' }).filter(() =>
      random.chance(0.3),
    ),
  );

const tool = (random: Random): object => ({
  type: 'function',
  function: {
    name: random.pick(TOOLS),
    description: 'Looks something up.',
    parameters: { type: 'object', properties: { query: { type: 'string' } } },
  },
});
const tools = (random: Random): readonly object[] =>
  Array.from({ length: random.between(0, 2) }, () => tool(random));

/** Of assistants and runs. */
const agentTools = (random: Random): readonly object[] => [...tools(random), ...hostedTools(random)];

const message = (random: Random, known: Known): object => ({
  role: random.pick(['user', 'user', 'user', 'assistant']),
  content: random.chance(0.8)
    ? say(random)
    : [
        { type: 'text', text: say(random) },
        { type: 'image_url', image_url: { url: PIXEL, detail: 'low' } },
      ],
  ...(random.chance(0.2) && { metadata: metadata(random), attachments: attachments(random, known) }),
});
const messages = (random: Random, known: Known): readonly object[] =>
  Array.from({ length: random.between(0, 3) }, () => message(random, known));

const sampling = (random: Random): object =>
  some(random, {
    temperature: random.pick([0, 1, 2]),
    top_p: random.next(),
    reasoning_effort: random.pick(['none', 'low', 'max']),
    response_format: random.pick(['auto', { type: 'text' }, { type: 'json_object' }]),
  });

const assistant = (random: Random, known: Known): object => ({
  model: 'm',
  ...some(random, {
    name: random.pick(['', 'Aide', '助手']),
    description: 'An assistant.',
    instructions: 'Answer.',
    tool_resources: toolResources(random, known),
  }),
  tools: agentTools(random),
  metadata: metadata(random),
  ...sampling(random),
});

const runFields = (random: Random, known: Known): object => ({
  assistant_id: oneOf(random, known.assistants) ?? 'asst_none',
  ...some(random, {
    instructions: 'Answer.',
    tools: agentTools(random),
    metadata: metadata(random),
    stream: random.chance(0.7),
    tool_choice: random.pick(['none', 'auto']),
    max_completion_tokens: random.between(1, 100),
    truncation_strategy: { type: 'last_messages', last_messages: random.between(1, 5) },
    parallel_tool_calls: random.chance(0.5),
  }),
  ...sampling(random),
});

const chat = (random: Random, known: Known): object => ({
  model: random.pick(['m', '<Aide>', oneOf(random, known.assistants) ?? 'm']),
  messages: [...messages(random, known), { role: 'user', content: say(random) }],
  ...some(random, {
    stream: random.chance(0.6),
    stream_options: { include_usage: true },
    tools: tools(random),
    thread_id: random.pick(['one', 'two', 3]),
    user: random.pick(['alice', 'bob']),
    max_tokens: random.between(1, 100),
    metadata: { multitask: random.pick(['interrupt', 'reject', 'enqueue', 'rollback', 'steer']) },
    turn_id: random.between(1, 9),
    stop: ['\n'],
    location: 'here',
    modalities: random.pick([['text'], ['text', 'audio']]),
    audio: {
      voice: 'alloy',
      format: random.pick(['pcm16', 'wav', 'mp3', 'x']),
      sample_rate: random.pick([16_000, 1]),
    },
  }),
  ...sampling(random),
});

const agentBody = (random: Random): object => ({
  query: say(random),
  ...some(random, {
    stream: random.chance(0.6),
    user_id: 'alice',
    conversation_id: random.pick(['one', 'two']),
    memory: [
      { role: 'user', content: 'hello' },
      { role: 'assistant', content: 'Hi.' },
    ],
    variables: { common_variables: { where: 'here', level: 3 } },
  }),
});

const outputs = (random: Random, calls: readonly string[]): object => ({
  tool_outputs: calls.map((id) => ({ tool_call_id: id, output: random.pick(['{"a":1}', 'fine', '']) })),
  ...(random.chance(0.3) && { stream: random.chance(0.7) }),
});

const toolArguments = (random: Random): unknown =>
  random.pick([
    {},
    { query: 'a thing' },
    { query: deep(random.pick(DEPTHS)) },
    { url: random.pick(ADDRESSES) },
    { zone: 'Asia/Shanghai' },
    'text',
    deep(random.pick(DEPTHS)),
    'x'.repeat(LONG),
  ]);

const thread = (random: Random, known: Known): string => oneOf(random, known.threads) ?? 'thread_none';
const run = (random: Random, known: Known) =>
  oneOf(random, known.runs) ?? { thread: 'thread_none', id: 'run_none', calls: [] };
const runPath = (random: Random, known: Known, rest = ''): string => {
  const { thread: where, id } = run(random, known);
  return `/v1/threads/${where}/runs/${id}${rest}`;
};
const messagePath = (random: Random, known: Known): string => {
  const { thread: where, id } = oneOf(random, known.messages) ?? { thread: 'thread_none', id: 'msg_none' };
  return `/v1/threads/${where}/messages/${id}`;
};
const stepPath = (random: Random, known: Known): string => {
  const step = oneOf(random, known.steps) ?? { thread: 'thread_none', run: 'run_none', id: 'step_none' };
  return `/v1/threads/${step.thread}/runs/${step.run}/steps/${step.id}`;
};
const assistantPath = (random: Random, known: Known): string =>
  `/v1/assistants/${oneOf(random, known.assistants) ?? 'asst_none'}`;
const pluginPath = (random: Random, known: Known): string => {
  const tid = random.pick([thread(random, known), oneOf(random, known.waiting)?.thread ?? 'thread_none']);
  return `/v1/pluginapi?tid=${tid}&aid=${oneOf(random, known.assistants) ?? 'a'}&pid=${random.pick(TOOLS)}`;
};

/** Passed on to the model server, with forms as JSON: what they hold is not read here. */
const FORWARDED = [
  'embeddings',
  'completions',
  'moderations',
  'rerank',
  'audio/speech',
  'images/generations',
  'audio/transcriptions',
  'audio/translations',
  'images/edits',
  'images/variations',
];
/** Those that deployments have. */
const DEPLOYED = FORWARDED.filter((path) => !['moderations', 'rerank', 'images/variations'].includes(path));

const forwarded = (random: Random, known: Known): object => ({
  ...some(random, {
    model: random.pick(['m', '<Aide>', oneOf(random, known.assistants) ?? 'm']),
    input: random.pick([say(random), [1, 2, 3], deep(random.pick(DEPTHS))]),
    prompt: say(random),
    stream: random.chance(0.5),
    seed: 1,
  }),
});

const forwards = (paths: readonly string[], base: string, target: string): Routes =>
  Object.fromEntries(
    paths.map((path) => [`POST ${base}/${path}`, [1, post(() => `${target}/${path}`, forwarded)]]),
  );

/** Each route by how often it is asked. The names are those that `GET /` tells; `fuzz.test.ts` compares them. */
export const ROUTES: Routes = {
  ...forwards(FORWARDED, '/v1', '/v1'),
  ...forwards(DEPLOYED, '/openai/deployments/*deployment', '/openai/deployments/vendor/model'),
  'POST /v1/assistants': [4, post(() => '/v1/assistants', assistant)],
  'GET /v1/assistants': [2, get((random, known) => `/v1/assistants${list(random, known)}`)],
  'GET /v1/assistants/:assistant_id': [2, get(assistantPath)],
  'POST /v1/assistants/:assistant_id': [3, post(assistantPath, assistant)],
  'DELETE /v1/assistants/:assistant_id': [2, remove(assistantPath)],
  'POST /v1/threads/runs': [
    10,
    post(
      () => '/v1/threads/runs',
      (random, known) => ({
        ...runFields(random, known),
        thread: {
          messages: messages(random, known),
          ...some(random, { tool_resources: toolResources(random, known) }),
        },
        ...some(random, { tool_resources: toolResources(random, known) }),
      }),
    ),
  ],
  'POST /v1/threads/:thread_id/runs': [
    8,
    post(
      (random, known) => `/v1/threads/${thread(random, known)}/runs`,
      (random, known) => ({
        ...runFields(random, known),
        ...some(random, { additional_messages: messages(random, known) }),
      }),
    ),
  ],
  'GET /v1/threads': [
    2,
    get((random, known) => {
      const query = list(random, known);
      const filter = random.pick([
        '',
        'metadata[a]=b',
        'metadata[]=x&metadata[__proto__]=y',
        'metadata[a]=b&metadata[a]=c',
      ]);
      return `/v1/threads${query}${query === '' ? '?' : '&'}${filter}`;
    }),
  ],
  'GET /v1/runs': [
    2,
    get((random, known) => {
      const query = list(random, known);
      const filter = random.pick([
        '',
        'status=queued,completed',
        'status[]=failed&status[]=x',
        `thread_id=${thread(random, known)}&created_after=0`,
        'created_before=1e99&created_after=-1',
        `assistant_id=${known.anyId(random)}&project=p`,
      ]);
      return `/v1/runs${query}${query === '' ? '?' : '&'}${filter}`;
    }),
  ],
  'GET /v1/threads/:thread_id/runs': [
    2,
    get((random, known) => `/v1/threads/${thread(random, known)}/runs${list(random, known)}`),
  ],
  'GET /v1/threads/:thread_id/runs/:run_id': [4, get((random, known) => runPath(random, known))],
  'POST /v1/threads/:thread_id/runs/:run_id': [
    2,
    post(
      (random, known) => runPath(random, known),
      (random) => ({ metadata: metadata(random) }),
    ),
  ],
  'POST /v1/threads/:thread_id/runs/:run_id/cancel': [
    3,
    post(
      (random, known) => runPath(random, known, '/cancel'),
      () => undefined,
    ),
  ],
  'GET /v1/threads/:thread_id/runs/:run_id/events': [
    3,
    get((random, known) =>
      runPath(
        random,
        known,
        `/events?after=${random.between(0, 9)}&thoughts=${random.pick(['true', 'false'])}`,
      ),
    ),
  ],
  'GET /v1/threads/:thread_id/runs/:run_id/trace': [
    2,
    get((random, known) => runPath(random, known, '/trace')),
  ],
  'GET /v1/threads/:thread_id/runs/:run_id/steps': [
    2,
    get((random, known) => runPath(random, known, `/steps${list(random, known)}`)),
  ],
  'GET /v1/threads/:thread_id/runs/:run_id/steps/:step_id': [2, get(stepPath)],
  'POST /v1/threads/:thread_id/runs/:run_id/submit_tool_outputs': [
    10,
    (random, known) => {
      const waiting = oneOf(random, known.waiting.slice(-20)) ?? run(random, known);
      return {
        method: 'POST',
        target: `/v1/threads/${waiting.thread}/runs/${waiting.id}/submit_tool_outputs`,
        body: outputs(random, waiting.calls),
      };
    },
  ],
  'POST /v1/threads': [
    6,
    post(
      () => '/v1/threads',
      (random, known) => ({
        messages: messages(random, known),
        ...some(random, { metadata: metadata(random), tool_resources: toolResources(random, known) }),
      }),
    ),
  ],
  'GET /v1/threads/:thread_id': [2, get((random, known) => `/v1/threads/${thread(random, known)}`)],
  'POST /v1/threads/:thread_id': [
    2,
    post(
      (random, known) => `/v1/threads/${thread(random, known)}`,
      (random, known) => ({
        metadata: metadata(random),
        tool_resources: random.pick([null, toolResources(random, known)]),
      }),
    ),
  ],
  'DELETE /v1/threads/:thread_id': [2, remove((random, known) => `/v1/threads/${thread(random, known)}`)],
  'POST /v1/threads/:thread_id/messages': [
    5,
    post((random, known) => `/v1/threads/${thread(random, known)}/messages`, message),
  ],
  'GET /v1/threads/:thread_id/messages': [
    3,
    get((random, known) => `/v1/threads/${thread(random, known)}/messages${list(random, known)}`),
  ],
  'GET /v1/threads/:thread_id/messages/:message_id': [2, get(messagePath)],
  'POST /v1/threads/:thread_id/messages/:message_id': [
    2,
    post(messagePath, (random) => ({ metadata: metadata(random) })),
  ],
  'DELETE /v1/threads/:thread_id/messages/:message_id': [1, remove(messagePath)],
  ...FILE_ROUTES,
  ...STORE_ROUTES,
  ...RESPONSE_ROUTES,
  'GET /v1/usage': [
    1,
    get(
      (random) => `/v1/usage?from=${random.pick(['2026-11-26', '2026-11-27', '1970-01-01'])}&to=2026-11-26`,
    ),
  ],
  'GET /v1/admin/events': [
    1,
    get(
      (random) =>
        `/v1/admin/events?project=${random.pick(['*', 'default', 'p', '{}'])}&history_s=${random.pick([0, 60, -1])}`,
    ),
  ],
  'GET /v1/admin/service': [1, get(() => '/v1/admin/service')],
  'GET /v1/models': [1, get(() => '/v1/models')],
  'GET /v1/models/*model': [1, get(() => '/v1/models/fake-model')],
  'DELETE /v1/models/*model': [1, remove(() => '/v1/models/vendor/model')],
  'GET /v1/plugins': [1, get(() => '/v1/plugins')],
  'POST /v1/import': [
    3,
    post(
      () => '/v1/import',
      (random, known) => ({
        object: 'list',
        data: [
          { id: `thread_f${random.between(0, 99)}`, object: 'thread', created_at: 1_700_000_000 },
          {
            ...message(random, known),
            id: `msg_f${random.between(0, 999)}`,
            object: 'thread.message',
            created_at: 1_700_000_000,
            thread_id: thread(random, known),
          },
        ],
      }),
    ),
  ],
  'POST /v1/pluginapi': [8, post(pluginPath, toolArguments)],
  'POST /v1/routes/open/:agent/execute': [
    6,
    post(
      (random, known) => `/v1/routes/open/${oneOf(random, known.assistants) ?? 'Aide'}/execute`,
      agentBody,
    ),
  ],
  'DELETE /v1/memory': [1, remove((random) => `/v1/memory?thread_id=${random.pick(['one', 'two'])}`)],
  'POST /v1/chat/completions': [8, post(() => '/v1/chat/completions', chat)],
  'POST /openai/deployments/*deployment/chat/completions': [
    3,
    post(() => '/openai/deployments/vendor/model/chat/completions?api-version=2024-10-21', chat),
  ],
  'POST /chat/completions': [4, post(() => '/chat/completions', chat)],
  'POST /audio/chat/completions': [4, post(() => '/audio/chat/completions', chat)],
  'POST /custom_agent/chat': [4, post(() => '/custom_agent/chat', chat)],
};

/** What `GET /` does not list: itself and its neighbours, what is not built, what is nowhere. */
const ELSEWHERE: readonly string[] = [
  '/',
  '/ping',
  '/health',
  '/ready',
  '/metrics',
  '/v1/nothing',
  '/openai/threads/thread_none?api-version=v1',
  '/api/projects/p/assistants?api-version=v1',
  '/favicon.ico',
];
const ELSEWHERE_SHARE = 0.04;

const DRAWN: readonly Route[] = Object.values(ROUTES).flatMap(([weight, route]) =>
  Array.from({ length: weight }, () => route),
);

/** A request of any route. */
export function draft(random: Random, known: Known): Draft {
  if (random.chance(ELSEWHERE_SHARE)) return { method: 'GET', target: random.pick(ELSEWHERE) };
  return random.pick(DRAWN)(random, known);
}
