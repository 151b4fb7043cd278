/**
 * The three programs that people wrote against the original service, run as they were published (davinci/): a bash script and
 * two Python scripts, with only address, key, assistant and picture filled in. They must end as their documentation shows.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, inject, test, type TestContext } from 'vitest';
import search from '../../src/tools/search.ts';
import { toolContext } from '../support/tool-context.ts';
import { startService, type Service } from '../support/service.ts';
import { calls, FakeUpstream, says, type Script } from '../support/upstream.ts';
import { ForkingPython } from './forking-python.ts';
import { INSTALL_MS, missingProgram, pythonWithOpenAi, runProgram, type Ended } from './programs.ts';
import { Tap } from './tap.ts';

const KEY = 'the-users-key';
const IMAGE_URL = 'https://pictures.example.com/cat.jpg?size=big&x=1';
const ANSWER = 'Here is what I found.';
const SEARCHES = [
  // What a shell would make of this: patterns become the names in FILES, and two spaces one.
  { query: { q: '5 * 3 [x] "quoted"  double  spaces taipei 101', mkt: 'en-US' }, topk: '2' },
  { query: { q: '5 * 3 [x]  double  spaces boiling water?', mkt: 'zh-TW' }, topk: '1' },
] as const;
/** Each would be found, had it got into a search. */
const FILES = ['x', 'oolong', 'yushan'];

/** Of Python's openai package. */
const MAJORS = [3, 2] as const;

let upstream: FakeUpstream;
let service: Service;
let assistantId: string;
let missing: string | null;
/** By major version; a text where there is none, which says why. */
const pythons = new Map<number, ForkingPython | string>();
/** What the scripts import, and what clients load when they first need it. */
const IMPORTS = `
from openai import AssistantEventHandler, OpenAI
from openai.types.beta import AssistantStreamEvent, threads
client = OpenAI(api_key='none')
client.beta.assistants, client.beta.threads.messages, client.beta.threads.runs
`;

beforeAll(async () => {
  upstream = await FakeUpstream.start();
  service = await startService({
    redisUrl: inject('redisUrl'),
    upstream,
    env: { AUTH: 'key', API_KEY: KEY },
  });
  const openai = new OpenAI({ baseURL: service.baseUrl, apiKey: KEY });
  const assistant = await openai.beta.assistants.create({
    model: 'aide-gpt-4-turbo',
    tools: [{ type: 'function', function: { name: 'SEARCH', parameters: { type: 'object' } } }],
  });
  assistantId = assistant.id;
  missing = await missingProgram('bash', 'jq', 'curl');
  await Promise.all(
    MAJORS.map(async (major) => {
      const python = await pythonWithOpenAi(major);
      const isThere = 'path' in python;
      pythons.set(major, isThere ? await ForkingPython.start(python.path, IMPORTS) : python.missing);
    }),
  );
}, INSTALL_MS);

afterAll(async () => {
  for (const python of pythons.values()) if (typeof python !== 'string') await python.stop();
  await service?.stop();
  await upstream?.stop();
});

describe.each([
  { rounds: 1, delayMs: 0, model: 'an instant model that searches once' },
  { rounds: 2, delayMs: 0, model: 'an instant model that searches twice' },
  { rounds: 2, delayMs: 100, model: 'a model that takes its time and searches twice' },
])('with $model', ({ rounds, delayMs }) => {
  const searches = SEARCHES.slice(0, rounds);

  beforeAll(() => {
    upstream.reply(({ outputs }): Script => {
      const next = searches[outputs.length];
      const turn =
        next === undefined ? says('Here is ', 'what I found.') : calls([{ name: 'SEARCH', arguments: next }]);
      return [{ type: 'delay', delayMs }, ...turn];
    });
  });

  test.concurrent('the bash script prints the answer about an image', async (context) => {
    if (missing !== null) return context.skip(`${missing} is not installed`);
    const { ended, tap } = await play('image.sh', bash, (script, url) => ({
      script: script.replace('https://prod.dvcbot.net', url),
      env: { API_KEY: KEY, ASSISTANT_ID: assistantId, IMAGE_URL },
    }));
    expect(ended.stdout.trim()).toBe(`davinci bot: "${ANSWER}"`);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    // The quotes inside the first search's arguments are broken by the script itself; see the answer instead.
    expect(tap.calls.slice(1).map(({ body }) => JSON.parse(body) as unknown)).toEqual(searches.slice(1));
    await expectSearched(tap, (said) => said === '');
  });

  /** Shows A-HELP-05. */
  test.concurrent.for(MAJORS)(
    'the polling Python script prints the answer about text and image, with openai %i',
    async (major, context) => {
      const { ended, tap } = await play('poll.py', pythonOf(major, context), (script, url) => ({
        script: script
          .replace('https://prod.dvcbot.net', url)
          .replace("API_KEY = ''", `API_KEY = '${KEY}'`)
          .replace("ASSISTANT_ID = ''", `ASSISTANT_ID = '${assistantId}'`)
          .replace('https://xxx.xxx.xxx.jpg', IMAGE_URL),
      }));
      expect(ended).toMatchObject({ code: 0, stdout: `${ANSWER}\n` });
      expect(tap.calls.map(({ body }) => JSON.parse(body) as unknown)).toEqual(searches);
      await expectSearched(tap, (said) => said.endsWith('What do you think about this image?'));
    },
  );

  /** Shows A-HELP-05. */
  test.concurrent.for(MAJORS)(
    'the streaming Python script prints the answer as it comes, with openai %i',
    async (major, context) => {
      const { ended, tap } = await play('stream.py', pythonOf(major, context), (script, url) => ({
        script: script.replace('https://prod.dvcbot.net', url).replace('PLACE YOUR API KEY HERE', KEY),
      }));
      expect(ended.stderr).not.toContain('Traceback');
      expect(ended.code).toBe(0);
      expect(ended.stdout).toContain('assistant created, id:  asst_');
      expect(ended.stdout.match(/DONE STATUS: requires_action/g)).toHaveLength(rounds);
      expect(ended.stdout).toMatch(/on_text_created > Here is \n?what I found\.\n/);
      expect(ended.stdout).toMatch(/on_message_done > Message\(.*Here is what I found\./);
      // One stream for the question, and one for the outputs of each round.
      expect(ended.stdout.match(/end assistant >/g)).toHaveLength(rounds + 1);
      expect(tap.calls.map(({ body }) => JSON.parse(body) as unknown)).toEqual(searches);
      await expectSearched(tap, (said) => said.includes('巴黎奧運'));
    },
  );

  /** Every search was made with the model's own arguments, and the model was told exactly what it gave. */
  async function expectSearched(tap: Tap, fits: (text: string) => boolean): Promise<void> {
    const found = await Promise.all(searches.map(searchDirectly));
    expect(tap.calls.map(({ answer }) => JSON.parse(answer) as unknown)).toEqual(found);
    expect(tap.calls.map(({ query }) => query['pid'])).toEqual(searches.map(() => 'SEARCH'));
    const last = upstream.requests.findLast(({ text, outputs }) => fits(text) && outputs.length === rounds);
    expect(last?.outputs.map((output) => JSON.parse(output) as unknown)).toEqual(found);
  }
});

/** Runs a script to its end. */
type Run = (path: string, surroundings: Omit<Filled, 'script'> & { readonly cwd: string }) => Promise<Ended>;

interface Filled {
  readonly script: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a script of davinci in a folder that holds FILES, its placeholders filled in. */
async function play(
  name: string,
  run: Run,
  fill: (script: string, url: string) => Filled,
): Promise<{ readonly ended: Ended; readonly tap: Tap }> {
  const tap = await Tap.start(service.url);
  const folder = await mkdtemp(join(tmpdir(), 'longrun-client-'));
  try {
    const published = await readFile(new URL(`davinci/${name}`, import.meta.url), 'utf8');
    const { script, env } = fill(published, tap.url);
    for (const file of FILES) await writeFile(join(folder, file), '');
    const path = join(folder, name);
    await writeFile(path, script);
    return { tap, ended: await run(path, { cwd: folder, ...(env && { env }) }) };
  } finally {
    await tap.stop();
    await rm(folder, { recursive: true });
  }
}

const bash: Run = (path, surroundings) => runProgram('bash', [path], surroundings);

function pythonOf(major: number, context: TestContext): Run {
  const python = pythons.get(major) ?? 'it was not looked for';
  return typeof python === 'string' ? context.skip(python) : (path, { cwd }) => python.run(path, cwd);
}

/** What the server's own tool finds for these arguments. */
async function searchDirectly(args: unknown): Promise<unknown> {
  const found = await search.run(search.parameters.parse(args), toolContext());
  return JSON.parse(JSON.stringify(found));
}
