/** What keeps a program from starting is said in a sentence, without a stack, a secret, or a wait for something else. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { runProgram } from '../clients/programs.ts';
import { COMPILE_CACHE } from '../support/compile-cache.ts';
import { startPrivateRedis, type PrivateRedis } from '../support/redis.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const program = (name: string): string => join(REPOSITORY, 'src', name, 'main.ts');

describe('a machine without redis-server', () => {
  test('hears so before anything is downloaded', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'longrun-set-up-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await cp(join(REPOSITORY, 'setup'), join(folder, 'setup'), { recursive: true });
    await cp(join(REPOSITORY, 'package.json'), join(folder, 'package.json'));
    // Modules are missing, too; whoever begins to install them says so.
    await writeFile(join(folder, 'package-lock.json'), '{"packages":{"node_modules/x":{"version":"1.0.0"}}}');
    const bin = join(folder, 'bin');
    await mkdir(bin);
    await symlink(process.execPath, join(bin, 'node'));
    const run = join(folder, 'setup/run.mjs');
    const ended = await runProgram(process.execPath, [run, 'start'], { env: { PATH: bin, REDIS_URL: '' } });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(
      /^longrun: redis-server is missing: .*REDIS_URL=redis:\/\/host:6379 npm start\.\n$/,
    );
  });
});

describe.each(['api', 'worker'])('npm run %s', (name) => {
  let redis: PrivateRedis;
  let port: string;

  beforeAll(async () => {
    redis = await startPrivateRedis();
    const admin = new Redis(redis.url);
    await admin.config('SET', 'requirepass', 'the-right-one');
    admin.disconnect();
    ({ port } = new URL(redis.url));
  });
  afterAll(() => redis.stop());

  test.for([
    [
      'a wrong password',
      ':the-wrong-one@',
      ':redacted@',
      'refuses the user name or the password in REDIS_URL.',
    ],
    ['no password', '', '', 'asks for a password, and REDIS_URL has none.'],
  ] as const)('ends where Redis is given %s', async ([, login, shown, sentence]) => {
    const env = { REDIS_URL: `redis://${login}127.0.0.1:${port}`, PORT: '0' };
    const ended = await runProgram(process.execPath, [program(name)], { env });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(`Redis at redis://${shown}127.0.0.1:${port} ${sentence}`);
    expect(ended.stderr).not.toContain('    at ');
    expect(ended.stdout + ended.stderr).not.toContain('the-wrong-one');
  });

  test('says where it looks for a Redis that is not there, and goes on', async () => {
    const child = spawn(process.execPath, [program(name)], {
      env: {
        REDIS_URL: 'redis://:a-password@127.0.0.1:1',
        PORT: '0',
        NODE_COMPILE_CACHE: COMPILE_CACHE,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    let line = '';
    while (!line.includes('No Redis answers')) line = String((await lines.next()).value);
    expect(JSON.parse(line)).toMatchObject({
      level: 40,
      msg: 'No Redis answers at redis://:redacted@127.0.0.1:1, which REDIS_URL names (connect ECONNREFUSED 127.0.0.1:1). Trying again until one does.',
    });
    expect(child.exitCode).toBeNull();
  });
});

test.each(['api', 'worker'])('npm run %s says which tool file is broken', async (name) => {
  const folder = await mkdtemp(join(tmpdir(), 'longrun-tools-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'broken.ts'), 'export default {};');
  const env = { REDIS_URL: inject('redisUrl'), PORT: '0', TOOL_FOLDERS: folder };
  const ended = await runProgram(process.execPath, [program(name)], { env });
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(/^The tools cannot be loaded:\n  - .*broken\.ts/);
  expect(ended.stderr).not.toContain('    at ');
});

test('npm run api says which port is taken and how to choose another', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void holder.close());
  await once(holder, 'listening');
  const address = holder.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const env = { REDIS_URL: inject('redisUrl'), PORT: String(port) };
  const ended = await runProgram(process.execPath, [program('api')], { env });
  expect(ended.code).toBe(1);
  expect(ended.stderr).toBe(
    `Port ${port} is taken by another program. Choose another one: PORT=${port + 1} npm run api\n`,
  );
});
