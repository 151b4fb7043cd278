/** How the examples are checked: most are played as they stand, the others compared with what they speak of. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import OpenAI from 'openai';
import { expect, type TestContext } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { ENV, readConfig } from '../../src/config.ts';
import { TRACING_VARIABLES } from '../../src/config/tracing.ts';
import { missingProgram, pythonWithOpenAi, runProgram } from '../clients/programs.ts';
import { missingShell } from '../devices/documents.ts';
import { assistant, message, pagesOf, thread } from '../import/exports.ts';
import { commandsIn, REPOSITORY, type Block } from './blocks.ts';
import { compact, printedPattern } from './printed.ts';
import type { Stage } from './stage.ts';

export type Check = (block: Block, stage: Stage, context: TestContext) => Promise<void> | void;

const IMPORT = join(REPOSITORY, 'src/import/main.ts');
const NO_FILE = join(REPOSITORY, 'no.config.json');
/** Variables without a key in the file. */
const VARIABLES_ONLY = [
  'LONGRUN_CONFIG',
  'OPENAI_BASE_URL',
  'OPENAI_API_KEY',
  // The client of S3 reads them.
  'AWS_REGION',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  ...TRACING_VARIABLES,
];

const text = (path: string): string => readFileSync(join(REPOSITORY, path), 'utf8');
export const { scripts } = z
  .looseObject({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(text('package.json')));
const { services } = z
  .looseObject({ services: z.record(z.string(), z.looseObject({ command: z.array(z.string()) })) })
  .parse(parse(text('docker-compose.yml'), { merge: true }));
const pluginsSchema = z.object({
  data: z.array(z.looseObject({ name: z.string(), source: z.looseObject({ from: z.string() }) })),
});

/** Commands of curl work, each as it is printed. */
export const answers: Check = async (block, stage, context) => {
  const missing = await missingShell();
  if (missing !== null) return context.skip(missing);
  for (const command of commandsIn(block).filter((each) => each.startsWith('curl '))) {
    const ended = await stage.type(command);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^(event: .+\ndata: |data: )?\{/);
    expect(ended.stdout).not.toContain('"error');
  }
};

/** What the command before this block printed. `alike` are patterns of what is left to chance, and what is printed for it. */
export const printed =
  (alike: Readonly<Record<string, RegExp>> = {}): Check =>
  (block, stage, context) => {
    if (stage.printed === '') return context.skip('the command before it was not run');
    let answer = compact(stage.printed);
    for (const [one, any] of Object.entries(alike)) {
      expect(answer).toMatch(any);
      answer = answer.replace(any, one);
    }
    expect(answer).toMatch(printedPattern(block.text));
  };

/** Plays a run, whose ids take the place of THREAD and RUN in a command, and types that. */
const asksAboutRun = async (
  block: Parameters<Check>[0],
  stage: Stage,
  type: (command: string) => Promise<unknown>,
) => {
  const { beta } = new OpenAI({ baseURL: (await stage.service()).baseUrl, apiKey: 'none' });
  const { id } = await beta.assistants.create({ model: 'demo' });
  const run = await beta.threads.createAndRunPoll({
    assistant_id: id,
    thread: { messages: [{ role: 'user', content: 'Hello' }] },
  });
  await type(block.text.replace('THREAD', run.thread_id).replace('RUN', run.id));
  // The examples behind this one list the assistants.
  await beta.assistants.delete(id);
};

/** The events of a run are watched. */
export const watches: Check = async (block, stage, context) => {
  await asksAboutRun(block, stage, async (command) => answers({ ...block, text: command }, stage, context));
  expect(stage.printed).toMatch(/^id: 1$/m);
};

/** The trace of a run is a tree of spans. */
export const traces: Check = async (block, stage) => {
  await asksAboutRun(block, stage, async (command) => {
    const { stdout } = await stage.type(command);
    expect(JSON.parse(stdout)).toMatchObject({
      object: 'thread.run.trace',
      spans: [{ kind: 'run' }, {}, {}, {}],
    });
  });
};

/** `npm start` and other scripts exist, and what is set before them are settings with values that are taken. */
export const starts: Check = (block) => {
  const commands = commandsIn(block).filter((command) => /\bnpm /.test(command));
  expect(commands).not.toEqual([]);
  for (const command of commands) {
    const [, settings = '', script = ''] =
      /^((?:[A-Z_]+=\S+ )*)npm (?:run )?(\S+)/.exec(command) ?? expect.fail(command);
    expect(Object.keys(scripts)).toContain(script);
    accepted(variablesIn(settings.replaceAll(' ', '\n')));
  }
};

/** As {@link starts}, and the service that was so started answers the commands behind. */
export const startsAndAnswers: Check = async (block, stage, context) => {
  await starts(block, stage, context);
  await answers(block, stage, context);
};

/** A config file that the service takes. The variables that it names are set. */
export const configures: Check = async (block, stage) => {
  const path = await stage.write('longrun.config.json', block.text);
  const named = [...block.text.matchAll(/Env": \{ ?"[^"]+": "(\w+)"|Env": "(\w+)"/g)];
  const env = Object.fromEntries(named.map(([, each, other]) => [each ?? other ?? '', 'a value']));
  const given = z.record(z.string(), z.unknown()).parse(JSON.parse(block.text));
  expect(readConfig(env, path)).toMatchObject(given);
};

/** A configuration whose headers take values from the environment, and whose models have settings. */
export const configuresModels: Check = async (block, stage) => {
  const path = await stage.write('longrun.config.json', block.text);
  const env = Object.fromEntries(
    [...block.text.matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => [name, 'a value']),
  );
  const { upstreams } = readConfig(env, path);
  const model = z.string().or(z.looseObject({ name: z.string() }));
  const given = z.object({ upstreams: z.array(z.looseObject({ models: z.array(model) })) });
  for (const [index, { models }] of given.parse(JSON.parse(block.text)).upstreams.entries()) {
    expect(Object.values(upstreams[index]?.headers ?? {})).toContain('a value');
    const settings = models.map((each) => {
      const { name, ...own } = typeof each === 'string' ? { name: each } : each;
      return [name, own];
    });
    expect(upstreams[index]?.modelSettings).toEqual(Object.fromEntries(settings));
  }
};

/** The file of a tool, which the service has loaded. */
export const isTool: Check = async (block, stage) => {
  const { baseUrl } = await stage.service();
  const { data } = pluginsSchema.parse(await (await fetch(`${baseUrl}/plugins`)).json());
  const name = toolName(block);
  expect(data.find((plugin) => plugin.name === name)?.source.from).toBe(`tools/${name}.ts`);
};

export function toolName({ text: source }: Block): string {
  return /name: '(\w+)'/.exec(source)?.[1] ?? expect.fail('the tool has no name');
}

/** A program for Node prints what the demo model says. */
export const runsInNode: Check = (block, stage) => prints(block, stage, 'You said: “Hello”');

/** A program asks whether a tool may be called, and prints what it found. */
export const approvesInNode: Check = (block, stage) => prints(block, stage, 'Here is what the tool found');

async function prints(block: Block, stage: Stage, said: string): Promise<void> {
  const path = await stage.write('example.mjs', await stage.addressed(block.text));
  const ended = await runProgram(process.execPath, [path], { cwd: stage.folder });
  expect(ended).toEqual({
    code: 0,
    stderr: '',
    stdout: expect.stringContaining(said) as unknown,
  });
}

/** A program prints how many numbers its embedding has. */
export const embedsInNode: Check = async (block, stage) => {
  const path = await stage.write('embeds.mjs', await stage.addressed(block.text));
  const ended = await runProgram(process.execPath, [path], { cwd: stage.folder });
  expect(ended).toEqual({ code: 0, stderr: '', stdout: expect.stringMatching(/^\d+\n$/) as unknown });
};

/** A program prints the name and the content of the file that it has uploaded. */
export const keepsAFile: Check = async (block, stage) => {
  const path = await stage.write('files.mjs', await stage.addressed(block.text));
  const ended = await runProgram(process.execPath, [path], { cwd: stage.folder });
  expect(ended).toEqual({ code: 0, stderr: '', stdout: 'notes.txt Hello\n' });
};

/** A line of Python makes a client that reaches the service. */
export const runsInPython: Check = async (block, stage, context) => {
  const python = await pythonWithOpenAi(3);
  if ('missing' in python) return context.skip(python.missing);
  const line = (await stage.addressed(block.text)).replace('"…"', '"any"');
  const program = `from openai import OpenAI\n${line}\nprint([model.id for model in client.models.list()])`;
  const ended = await runProgram(python.path, ['-c', program]);
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining("'demo'") as unknown });
};

/** Settings of Agora's console: the engine sends its model and key to that URL. */
export const isReachedByAgora: Check = async (block, stage) => {
  const { llm } = z
    .object({
      llm: z.looseObject({ url: z.string(), api_key: z.string(), params: z.record(z.string(), z.string()) }),
    })
    .parse(JSON.parse(block.text));
  const response = await fetch(await stage.addressed(llm.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${llm.api_key}` },
    body: JSON.stringify({ ...llm.params, messages: [{ role: 'user', content: 'Hello' }] }),
  });
  expect(response.status).toBe(200);
  expect(await response.text()).toContain('data: [DONE]');
};

/** The files that it names come in. */
export const imports: Check = async (block, stage, context) => {
  const missing = await missingShell();
  if (missing !== null) return context.skip(missing);
  await writeExports(stage, 'a');
  await importsAll(block, stage, 4);
};

/** As {@link imports}, with a file, a vector store that has it, and its original. */
export const importsFiles: Check = async (block, stage, context) => {
  const missing = await missingShell();
  if (missing !== null) return context.skip(missing);
  await writeExports(stage, 'b');
  for (const folder of ['originals', 'store_files']) await mkdir(join(stage.folder, folder));
  await stage.write('originals/a.md', 'hello');
  const made = { created_at: 1_699_061_776 };
  const file = { ...made, id: 'file-a', object: 'file', bytes: 5, filename: 'a.md', purpose: 'assistants' };
  await stage.write('files.json', JSON.stringify(pagesOf([file], 10)));
  await stage.write('vector_stores.json', JSON.stringify({ ...made, id: 'vs_a', object: 'vector_store' }));
  const shelved = { ...made, id: 'file-a', object: 'vector_store.file', vector_store_id: 'vs_a' };
  await stage.write('store_files/a.json', JSON.stringify(pagesOf([shelved], 10)));
  await importsAll(block, stage, 7);
};

/** The examples of a document share a service: each has objects of its own. */
async function writeExports(stage: Stage, key: string): Promise<void> {
  await rm(join(stage.folder, 'messages'), { recursive: true, force: true });
  await mkdir(join(stage.folder, 'messages'));
  await stage.write('assistants.json', JSON.stringify(pagesOf([assistant(key)], 10)));
  await stage.write('threads.json', JSON.stringify(pagesOf([thread(key)], 10)));
  const messages = [message(key, 1), message(key, 2)];
  await stage.write('messages/a.json', JSON.stringify(pagesOf(messages, 10)));
}

async function importsAll(block: Parameters<Check>[0], stage: Stage, objects: number): Promise<void> {
  expect(scripts['import']).toBe('exec node setup/run.mjs import');
  const { baseUrl } = await stage.service();
  // The script itself first makes the machine ready, packages and all.
  const command = block.text.replace(
    'npm run import --',
    `LONGRUN_URL=${baseUrl} ${process.execPath} ${IMPORT}`,
  );
  const ended = await stage.type(command);
  expect(ended.stderr).toContain(`${objects} imported, 0 were there already, 0 not taken.`);
  expect(ended.code).toBe(0);
}

/** The clone is the reader's; `test/setup` and `test/local` have the start. */
export const isCloned: Check = (block, stage, context) => {
  expect(block.text).toMatch(/^git clone <\S.*> longrun && cd longrun\n/);
  return starts(block, stage, context);
};

/** The key is made as it stands; what is started or entered are services of docker-compose.yml. */
export const composes: Check = async (block, stage, context) => {
  for (const command of commandsIn(block)) {
    const [, service] =
      /^docker compose (?:up --build --scale (\w+)=\d$|exec (?=redis ))/.exec(command) ?? [];
    if (command.startsWith('docker compose exec redis ')) {
      const [, file = ''] = /cut -d " " -f 2 (\S+)\)/.exec(command) ?? [];
      expect(services['redis']?.command.join(' ')).toContain(`--include ${file}`);
    } else if (service !== undefined) expect(Object.keys(services)).toContain(service);
    else {
      const missing = await missingProgram('bash', 'openssl');
      if (missing !== null) return context.skip(`${missing} is not installed`);
      expect((await stage.type(`${command} && cat .env`)).stdout).toMatch(/^API_KEY=[\da-f]{48}\n$/);
    }
  }
};

/** Both files are there; `test/packaging.test.ts` says what is in them. */
export const composesCode: Check = (block) => {
  const files = [...block.text.matchAll(/-f (\S+)/g)].map(([, file = '']) => file);
  expect(files.map((file) => text(file).includes('\n  worker:\n'))).toEqual([true, true]);
};

/** Lines for `.env`, which docker-compose.yml reads. */
export const isReadByCompose: Check = (block) => {
  for (const name of Object.keys(variablesIn(block.text)))
    expect(text('docker-compose.yml')).toContain(`\${${name}:-`);
};

/** The image is told its environment by the file of the next block, and the programs are in it. */
export const runsInDocker: Check = (block) => {
  const commands = commandsIn(block);
  for (const command of commands) {
    expect(command).toMatch(
      /^docker run -d .*--env-file longrun\.env longrun( node (--\S+ )*src\/worker\/main\.ts)?$/,
    );
    for (const [file] of command.matchAll(/src\/\S+\.ts/g))
      expect(existsSync(join(REPOSITORY, file))).toBe(true);
  }
  expect(commands.join('\n')).toContain("--health-cmd 'node src/worker/health.ts'");
};

/** Settings for the image, on top of its own. */
export const configuresTheImage: Check = (block) => {
  const [, own = ''] = /^ENV (HOST=.+)$/m.exec(text('Dockerfile')) ?? [];
  accepted({ ...variablesIn(own.replaceAll(' ', '\n')), ...variablesIn(block.text) });
};

/** Campaigns of hours: their scripts and files exist, with those options. */
export const isCampaign: Check = (block) => {
  for (const command of commandsIn(block)) {
    const [, script, file = '', folder] =
      /^(?:npm run (\S+)|node (\S+)|TEST_REDIS=cluster npx vitest run (\S+))/.exec(command) ??
      expect.fail(command);
    const program =
      script === undefined ? (folder ?? file) : (/node (\S+)/.exec(scripts[script] ?? '')?.[1] ?? '');
    expect(existsSync(join(REPOSITORY, program)), command).toBe(true);
    for (const [, option = '', value = ''] of command.matchAll(/--(\w[\w-]*) (\S+)/g)) {
      expect(text(program)).toMatch(new RegExp(`\\b${option}'?: (text|\\{ type: 'string')`));
      if (!/^\d+$/.test(value)) expect(text(program)).toContain(`'${value}'`);
    }
  }
};

function variablesIn(lines: string): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const line of lines.split('\n').filter((each) => each !== '')) {
    const [, name = '', value = ''] = /^([A-Z_]+)=(\S+)$/.exec(line) ?? expect.fail(line);
    variables[name] = value;
  }
  return variables;
}

/** The service knows these variables, and takes their values. */
function accepted(env: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(env)) expect([...Object.keys(ENV), ...VARIABLES_ONLY]).toContain(name);
  expect(() => readConfig(env, NO_FILE)).not.toThrow();
}
