/** What `npm start` says when everything is up: where the service is, and two things to paste that work as they are. */

export interface Welcome {
  /** The API's origin. */
  readonly url: string;
  /** The key goes into a variable, never onto the screen. */
  readonly needsKey: boolean;
  /** A model that the upstream serves. */
  readonly model: string;
  readonly isDemo: boolean;
  readonly workers: number;
  readonly logFolder: string;
}

/** The text, ready to be printed. */
export function welcome({ url, needsKey, model, isDemo, workers, logFolder }: Welcome): string {
  const base = `${url}/v1`;
  const header = needsKey ? ` -H "Authorization: Bearer $OPENAI_API_KEY"` : '';
  // Without a key in its options, the SDK takes the one in OPENAI_API_KEY.
  const key = needsKey ? '' : `, apiKey: 'none'`;
  const models = isDemo
    ? 'No model is configured, so the demo model answers. For a real one: OPENAI_BASE_URL=… OPENAI_API_KEY=… npm start'
    : 'The models are those of your upstream.';
  return `
Longrun is up: ${base}
${models}
API, ${workers === 1 ? 'a worker' : `${workers} workers`} and Redis log to ${logFolder}. Ctrl-C stops everything; the data stays.
${needsKey ? `\nClients must send your API_KEY. In the terminal you paste into: export OPENAI_API_KEY=(that key)\n` : ''}
With curl, an assistant's answer as it is said:

curl -sN ${base}/threads/runs${header} -H 'Content-Type: application/json' -d "{\\"assistant_id\\":\\"$(curl -s ${base}/assistants${header} -H 'Content-Type: application/json' -d '{"model":"${model}"}' | grep -o 'asst_[A-Za-z0-9]*')\\",\\"stream\\":true,\\"thread\\":{\\"messages\\":[{\\"role\\":\\"user\\",\\"content\\":\\"Hello\\"}]}}"

With the official SDK, in any folder:

npm install openai && node --input-type=module <<'END'
import OpenAI from 'openai';
const { beta } = new OpenAI({ baseURL: '${base}'${key} });
const assistant = await beta.assistants.create({ model: '${model}', instructions: 'Be brief.' });
const thread = await beta.threads.create();
await beta.threads.messages.create(thread.id, { role: 'user', content: 'What can you do?' });
const run = await beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
const [answer] = (await beta.threads.messages.list(thread.id, { run_id: run.id })).data;
console.log(run.status, answer?.content[0].text.value);
END
`;
}
