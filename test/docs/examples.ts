/** Every example of README and docs, and what shows that it is true. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect } from 'vitest';
import { runProgram } from '../clients/programs.ts';
import { loudness, RATE, SpeechServer, TONE_HZ } from '../support/speech-server.ts';
import { blocksOf } from './blocks.ts';
import * as checks from './checks.ts';
import * as foundry from './foundry.ts';
import * as operations from './operations.ts';
import type { Stage } from './stage.ts';

/** What an example begins with, or has in it and no other of its document, and its check. */
export type Example = readonly [anchor: string, check: checks.Check];

/** Of README.md and its Chinese twin. */
const README: readonly Example[] = [
  ['client = OpenAI(', checks.runsInPython],
  ['git clone', checks.isCloned],
  ['OPENAI_BASE_URL=http://127.0.0.1:11434/v1 npm start', checks.starts],
  ["name: 'roll_dice'", checks.isTool],
  ['TOOL_FOLDERS=tools npm start', checks.startsAndAnswers],
  ['"name": "croupier"', checks.answers],
  // Dice.
  ['"content": "Here is what the tool found: “[3,5]”', checks.printed({ '[3,5]': /\[[1-6],[1-6]\]/ })],
  ['docker compose up', checks.composes],
];
/** Of docs/devices.md and its Chinese twin. */
const DEVICES: readonly Example[] = [
  ['ALLOWED_HOSTS=my-longrun.example.com', checks.starts],
  ['"name": "host",\n  "model"', checks.answers],
  ['curl http://HOST:8080/custom_agent/chat', checks.answers],
  ['"finish_reason":"tool_calls"', checks.printed()],
  ['"vendor": "custom"', checks.isReachedByAgora],
  ['curl http://HOST:8080/chat/completions', checks.answers],
  ['"finish_reason":"stop"}]}', checks.printed()],
  ['curl http://HOST:8080/v1/chat/completions', checks.answers],
  ['"object": "chat.completion", "created": 1760000000, "model": "qwen-flash"', checks.printed()],
  ['/v1/routes/open/host/execute', checks.answers],
  ['"type":"agent_start"', checks.printed()],
];

/** The examples of each document, in their order. */
export const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  'README.md': README,
  'README.zh-CN.md': README,
  'docs/admin.md': [],
  'docs/azure.md': [
    ['client = AzureOpenAI(', checks.runsInPython],
    ['new AzureOpenAI(', checks.runsInNode],
    ['reverse_proxy', foundry.isTakenByCaddy],
    ['ALLOWED_HOSTS=longrun.example.com', checks.starts],
    ['from azure.ai.agents import AgentsClient', foundry.runsInPython],
    ["from '@azure/ai-agents'", foundry.runsInNode],
  ],
  'docs/configuration.md': [
    ['"apiKeyEnv": "PROVIDER_KEY"', checks.configures],
    ['"chat_template_kwargs"', checks.configuresModels],
    ['"openapi": [', checks.configures],
    ['"mcpServers": {', checks.configures],
    ['docker compose up', checks.composes],
    ['docker compose exec redis', checks.composes],
    ['OWN_FOLDER=./own', checks.isReadByCompose],
    ['docker run -d -p', checks.runsInDocker],
    ['API_KEY=a-key-that-nobody-guesses', checks.configuresTheImage],
  ],
  'docs/console.md': [],
  'docs/devices.md': DEVICES,
  'docs/devices.zh-CN.md': DEVICES,
  'docs/durability.md': [['npm run chaos -- --runs 1000 --seed 7 ', checks.isCampaign]],
  'docs/performance.md': [['npm run bench -- --quick', checks.isCampaign]],
  'docs/files.md': [
    ['client.files.create(', checks.keepsAFile],
    ['client.vectorStores.create(', findsInAFile],
    ['LIBRARY_URL=postgres://', checks.starts],
    ['docker compose -f docker-compose.yml -f', checks.composesCode],
    ['profile bwrap /usr/bin/bwrap', isProfile],
    ['FILES_URL=s3://my-bucket/longrun', checks.starts],
  ],
  'docs/forward.md': [['client.embeddings.create(', checks.embedsInNode]],
  'docs/migrating.md': [
    ["import OpenAI from 'openai'", checks.runsInNode],
    ['npm run import -- assistants.json', checks.imports],
    ['npm run import -- --files', checks.importsFiles],
    ['"upstreams": [', checks.configures],
  ],
  'docs/operations.md': [
    ['HOST=0.0.0.0 AUTH=key', checks.starts],
    ['[Unit]', operations.isUnit],
    ['sudo systemctl enable', operations.startsUnits],
    ["curl -N 'http://127.0.0.1:8080/v1/threads/THREAD", checks.watches],
    ['/runs/RUN/trace', checks.traces],
    ['docker run -d -p 16686', checks.starts],
    ['tar -czf', operations.isPacked],
    ['tar -xzf', operations.isUnpacked],
    ['git pull', checks.starts],
    ['"object": "list"', operations.isPage],
    ['LONGRUN_URL=http://OTHER', operations.isMoved],
  ],
  'docs/from-assistants.md': [["replace('thread_', 'conv_');", checks.runsInNode]],
  'docs/questions.md': [],
  'docs/recipes.md': [],
  'docs/speech.md': [
    ['SPEECH_BASE_URL=http', checks.starts],
    ['client.chat.completions.create(', isHeard],
  ],
  'docs/responses.md': [
    ['client.responses.stream(', checks.runsInNode],
    ['starting_after: 1', checks.runsInNode],
    ["approve: 'clock'", checks.approvesInNode],
  ],
  'docs/servers.md': [['"upstreams": [', checks.configures]],
  'docs/tools.md': [
    ['curl http://127.0.0.1:8080/v1/plugins', checks.answers],
    ['SEARXNG_URL=http://localhost:8888 npm start', checks.starts],
    ["name: 'parcel'", tellsWhereAParcelIs],
    ['"toolFolders": ["tools"]', hasDecidedAboutTools],
  ],
};

/** Documents that count what is there, and a twin that has the conversation of the other once more. */
const ALONE = new Set(['docs/operations.md', 'docs/devices.zh-CN.md']);

/** What the examples of a document need to be there before the service starts. */
export async function prepare(document: string, stage: Stage): Promise<void> {
  stage.isAlone = ALONE.has(document);
  const blocks = blocksOf(document);
  const parcels = document === 'docs/tools.md' ? await parcelsOf(stage) : '';
  for (const block of blocks.filter(({ text }) => text.includes("from 'longrun/tool'"))) {
    const name = checks.toolName(block);
    await stage.write(`tools/${name}.ts`, block.text.replace(PARCELS, parcels));
  }
  if (document === 'docs/speech.md') stage.env['SPEECH_BASE_URL'] = await speechFor(stage);
  const config = blocks.find(({ text }) => text.includes('"toolFolders"'));
  if (config !== undefined) stage.env['LONGRUN_CONFIG'] = await stage.write('tools.json', config.text);
}

/** A program prints what it finds in the file that it has put into a store. */
async function findsInAFile(...[block, stage]: Parameters<checks.Check>): Promise<void> {
  const path = await stage.write('stores.mjs', await stage.addressed(block.text));
  const ended = await runProgram(process.execPath, [path], { cwd: stage.folder });
  const stdout = 'handbook.md Everybody has thirty days of holidays.\n';
  expect(ended).toEqual({ code: 0, stderr: '', stdout });
}

/** A server that speaks, in place of the one of the example. @returns its base URL. */
async function speechFor(stage: Stage): Promise<string> {
  const speech = new SpeechServer();
  await speech.listen();
  stage.defer(() => speech.stop());
  return speech.baseUrl;
}

/** A program prints what it hears, and writes the sound of it into a file. */
async function isHeard(...[block, stage]: Parameters<checks.Check>): Promise<void> {
  const path = await stage.write('heard.mjs', await stage.addressed(block.text));
  const ended = await runProgram(process.execPath, [path], { cwd: stage.folder });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(ended.stdout).toContain('Tell me about tea.');
  const sound = await readFile(join(stage.folder, 'tea.pcm'));
  expect(loudness(sound, TONE_HZ, RATE)).toBeGreaterThan(0.8);
}

/** AppArmor itself is not everywhere: the profile names the program that the sandbox starts, and lets it have namespaces. */
function isProfile(...[{ text }]: Parameters<checks.Check>): void {
  expect(text).toMatch(/^profile \w+ \/usr\/bin\/bwrap flags=\(unconfined\) \{\n {2}userns,\n\}$/m);
}

const PARCELS = 'https://parcels.example.com';
const PARCEL_KEY = 'key-of-the-parcels';

/** A service that knows one parcel and one key, in place of that of the example. @returns its origin. */
async function parcelsOf(stage: Stage): Promise<string> {
  const server = createServer(({ url, headers }, response) => {
    const isKnown = url === '/v2/AB12345678' && headers.authorization === `Bearer ${PARCEL_KEY}`;
    response.writeHead(isKnown ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isKnown ? { place: 'Taipei' } : {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stage.defer(() => new Promise((resolve) => server.close(resolve)));
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  Object.assign(stage.env, { PARCEL_KEY, ALLOW_HOSTS: host });
  return `http://${host}`;
}

async function tellsWhereAParcelIs(...[block, stage, context]: Parameters<checks.Check>): Promise<void> {
  await checks.isTool(block, stage, context);
  const { baseUrl } = await stage.service();
  const ask = async (number: string): Promise<unknown> => {
    const body = JSON.stringify({ number });
    return (await fetch(`${baseUrl}/pluginapi?pid=parcel`, { method: 'POST', body })).json();
  };
  expect(await ask('AB12345678')).toEqual({ place: 'Taipei' });
  expect(await ask('ZZ12345678')).toEqual({ error: 'There is no parcel ZZ12345678.' });
  expect(await ask('a')).toEqual({ error: expect.stringContaining('number: ') as unknown });
}

/** The service runs with this very file. */
async function hasDecidedAboutTools(...[block, stage, context]: Parameters<checks.Check>): Promise<void> {
  await checks.configures(block, stage, context);
  const { baseUrl } = await stage.service();
  const plugins = await (await fetch(`${baseUrl}/plugins`)).text();
  expect(plugins).not.toContain('"name":"fetch_page"');
  expect(plugins).toContain('"limits":{"timeout_ms":3000');
}
