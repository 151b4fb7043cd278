/**
 * Clients of other languages over a whole tool round, run by hand: `npm run check:clients`. It starts a service with a
 * Redis and a model of its own. A client that cannot be had on this machine is skipped, with a sentence.
 *
 *   openai-php   by composer; or `--openai-php FOLDER`, a checkout of openai-php/client, over Debian's php-guzzlehttp-guzzle
 *   go-openai    by the Go module proxy
 *   Codex        by npm (0.4 GB): it edits one file, over the Responses API
 */
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startPrivateRedis } from '../../support/redis.ts';
import { startService } from '../../support/service.ts';
import { calls, FakeUpstream, says } from '../../support/upstream.ts';
import { missingProgram, runProgram } from '../programs.ts';
import { commands, correctsAFile } from './codex.ts';

const GO_OPENAI = 'github.com/sashabaranov/go-openai@v1.43.0';

/** A client's program, which takes the service's URL behind `args`, and before `more`; or why there is none. */
type Found =
  | {
      readonly type: 'found';
      readonly command: string;
      readonly args: readonly string[];
      readonly more: readonly string[];
    }
  | { readonly type: 'missing'; readonly why: string };

const { values } = parseArgs({ options: { 'openai-php': { type: 'string' } } });
await using stack = new AsyncDisposableStack();
const folder = await mkdtemp(join(tmpdir(), 'longrun-clients-'));
stack.defer(() => rm(folder, { recursive: true, force: true }));
const redis = await startPrivateRedis();
stack.defer(() => redis.stop());
const upstream = await FakeUpstream.start();
stack.defer(() => upstream.stop());
upstream.reply((request) => {
  const { body, outputs } = request;
  const commanded = commands(request);
  if (commanded !== undefined) return commanded;
  if (outputs.length > 0) return says('It is ', `${outputs[0]}.`);
  return body.tools === undefined
    ? says('Hel', 'lo.')
    : calls([{ name: 'weather', arguments: { in: 'Oslo' } }]);
});
const service = await startService({ redisUrl: redis.url, upstream });
stack.defer(() => service.stop());

await check('openai-php', await openAiPhp(), `${service.url}/v1`);
await check('go-openai', await goOpenAi(), service.url);
await checkCodex();

async function checkCodex(): Promise<void> {
  console.log('Codex:');
  try {
    const missing = await correctsAFile(join(folder, 'codex'), `${service.url}/v1`);
    if (missing !== null) console.log(`skipped, because ${missing}.`);
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

async function check(name: string, found: Found, url: string): Promise<void> {
  if (found.type === 'missing') {
    console.log(`${name}: skipped, because ${found.why}.`);
    return;
  }
  console.log(`${name}:`);
  const ended = await runProgram(found.command, [...found.args, url, ...found.more]);
  console.log(ended.stdout.trimEnd());
  if (ended.code === 0) return;
  console.log(`${name} failed:\n${ended.stderr}`);
  process.exitCode = 1;
}

async function openAiPhp(): Promise<Found> {
  if ((await missingProgram('php')) !== null) return { type: 'missing', why: 'there is no php' };
  const program = join(import.meta.dirname, 'round.php');
  const checkout = values['openai-php'];
  if (checkout !== undefined)
    return { type: 'found', command: 'php', args: [program], more: [resolve(checkout)] };
  if ((await missingProgram('composer')) !== null) return { type: 'missing', why: 'there is no composer' };
  const wanted = ['openai-php/client', 'guzzlehttp/guzzle'];
  const plugin = ['config', 'allow-plugins.php-http/discovery', 'false'];
  const inFolder = { cwd: folder, env: { COMPOSER_HOME: folder } };
  await runProgram('composer', ['init', '--no-interaction', '--name=longrun/check'], inFolder);
  await runProgram('composer', plugin, inFolder);
  const made = await runProgram('composer', ['require', '--no-interaction', ...wanted], inFolder);
  if (made.code !== 0) return { type: 'missing', why: 'composer cannot reach its registry' };
  const autoload = join(folder, 'vendor/autoload.php');
  return { type: 'found', command: 'php', args: [program], more: [autoload] };
}

async function goOpenAi(): Promise<Found> {
  if ((await missingProgram('go')) !== null) return { type: 'missing', why: 'there is no go' };
  await copyFile(join(import.meta.dirname, 'round.go'), join(folder, 'main.go'));
  await writeFile(join(folder, 'go.mod'), 'module check\n\ngo 1.22\n');
  const got = await runProgram('go', ['get', GO_OPENAI], { cwd: folder });
  if (got.code !== 0) return { type: 'missing', why: "Go's module proxy cannot be reached" };
  const binary = join(folder, 'round');
  const built = await runProgram('go', ['build', '-o', binary, '.'], { cwd: folder });
  if (built.code !== 0) throw new Error(built.stderr);
  return { type: 'found', command: binary, args: [], more: [] };
}
