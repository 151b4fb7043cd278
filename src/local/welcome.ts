/** What `npm start` prints when everything is up: where the service is, and what to paste for a first answer. */

export interface Welcome {
  /** The API's origin. */
  readonly url: string;
  /** Which key clients send, if any. It goes into a variable, never onto the screen. */
  readonly key: 'none' | 'API_KEY' | 'model server';
  /** A model to ask; null when none is known. */
  readonly model: string | null;
  readonly isDemo: boolean;
  /** Whether the console is served. */
  readonly console: boolean;
  /** What is wrong with the model server, and what to do; null when nothing is. */
  readonly problem: string | null;
  /** Whether a run may succeed nevertheless. */
  readonly mayAnswer: boolean;
  readonly workers: number;
  readonly logFolder: string;
}

/** Stands in the snippets for an unknown model. */
const UNKNOWN_MODEL = 'MODEL';

const KEY_ADVICE = {
  none: '',
  API_KEY:
    '\nClients must send your API_KEY. In the terminal you paste into: export OPENAI_API_KEY=(that key)\n',
  'model server':
    '\nClients must send a key of your model server. In the terminal you paste into: export OPENAI_API_KEY=(that key)\n',
} as const;

/** The text, ready to be printed. */
export function welcome(about: Welcome): string {
  const { url, key, model, isDemo, problem, mayAnswer, workers, logFolder } = about;
  const look = about.console ? `\nIn a browser, to look around: ${url}` : '';
  const models = isDemo
    ? 'No model is configured, so the demo model answers. For a real one: OPENAI_BASE_URL=… OPENAI_API_KEY=… npm start'
    : 'The models are those of your model server.';
  return `
Longrun is up: ${url}/v1${look}
${models}${problem === null ? '' : `\nBUT: ${problem}`}
API, ${workers === 1 ? 'a worker' : `${workers} workers`} and Redis log to ${logFolder}. Ctrl-C stops everything; the data stays.
${KEY_ADVICE[key]}${!mayAnswer && model === null ? LATER : snippets(about)}`;
}

/** Shown instead of the snippets when no model would answer them. */
const LATER = '\nOnce that is mended, start again: two things to paste for a first answer will stand here.\n';

function snippets({ url, key, model }: Welcome): string {
  const base = `${url}/v1`;
  const header = key === 'none' ? '' : ` -H "Authorization: Bearer $OPENAI_API_KEY"`;
  // Without a key in its options, the SDK takes the one in OPENAI_API_KEY.
  const apiKey = key === 'none' ? `, apiKey: 'none'` : '';
  const asked = model ?? UNKNOWN_MODEL;
  const unknown =
    model === null
      ? `\nPut the name of a model of your model server in the place of ${UNKNOWN_MODEL}.\n`
      : '';
  return `${unknown}
A first answer, by chat completions:

curl ${base}/chat/completions${header} -d '{"model": "${asked}", "messages": [{"role": "user", "content": "Hello"}]}'

The same by the Assistants API, with the official SDK, in any folder:

npm install openai && node --input-type=module <<'END'
import OpenAI from 'openai';
const { beta } = new OpenAI({ baseURL: '${base}'${apiKey} });
const assistant = await beta.assistants.create({ model: '${asked}', instructions: 'Be brief.' });
const thread = await beta.threads.create();
await beta.threads.messages.create(thread.id, { role: 'user', content: 'What can you do?' });
const run = await beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
const [answer] = (await beta.threads.messages.list(thread.id, { run_id: run.id })).data;
console.log(run.status, run.last_error?.message ?? answer?.content[0].text.value);
END
`;
}

/** A sentence about a model server that will not answer, and what to do; null when it seems well. */
export function upstreamProblem(
  { name, baseUrl }: { readonly name: string; readonly baseUrl: string },
  answer:
    | { readonly type: 'models' | 'unknown' | 'no list' | 'unreachable' }
    | { readonly type: 'elsewhere'; readonly baseUrl: string }
    | { readonly type: 'key refused'; readonly status: number },
): string | null {
  const where = new URL(baseUrl).host;
  switch (answer.type) {
    case 'models':
    case 'unknown':
      return null;
    case 'no list':
      return `${shown(baseUrl)}/models answers 404. If runs fail, correct OPENAI_BASE_URL (or its baseUrl in the config file): it is everything before /chat/completions, and mostly ends in /v1.`;
    case 'elsewhere':
      return `${shown(baseUrl)}/models answers 404, but ${shown(answer.baseUrl)}/models is there. Set OPENAI_BASE_URL=${shown(answer.baseUrl)} (or its baseUrl in the config file) and start again.`;
    case 'unreachable':
      return `the model server '${name}' at ${where} does not answer. Start it, or correct OPENAI_BASE_URL (or its baseUrl in the config file); until then every run fails.`;
    case 'key refused':
      return `the model server '${name}' at ${where} refuses the key (${answer.status}). Correct OPENAI_API_KEY (or its apiKey in the config file) and start again.`;
  }
}

/** The address without the parts that may hold a key. */
function shown(baseUrl: string): string {
  const { origin, pathname } = new URL(baseUrl);
  return `${origin}${pathname.replace(/\/+$/, '')}`;
}
