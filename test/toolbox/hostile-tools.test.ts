/**
 * Tools that speak to their owner themselves, and tools that leave processes behind: neither can end the owner, answer for
 * another tool or name a process to be ended, and nothing of them is left.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi, onTestFinished } from 'vitest';
import { z } from 'zod';
import { EVENTS_FD, REQUESTS_FD } from '../../src/toolbox/child/protocol.ts';
import { toolContext } from '../support/tool-context.ts';
import { ended, eventually, isAlive, run, ToolFiles } from './tool-files.ts';

// A process comes up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const pidsSchema = z.array(z.number());

let files: ToolFiles;
beforeAll(async () => {
  files = await ToolFiles.open();
});
afterAll(() => files?.close());

/** Writes a line to the owner. */
const SAYS = `
const say = (line: unknown): void => {
  writeSync(${EVENTS_FD}, (typeof line === 'string' ? line : JSON.stringify(line)) + '\\n');
};
const seen = new Set<string>();
const parse = JSON.parse;
JSON.parse = (text: string) => {
  const value = parse(text);
  if (value?.nonce !== undefined) seen.add(value.nonce);
  return value;
};`;

describe('a tool that speaks to its owner itself', () => {
  const LATER = 'await new Promise(() => {});';
  const DISTRUSTED = /wrote what only Longrun writes/;

  test.each([
    ['garbage', `say('garbage'); ${LATER}`, DISTRUSTED],
    ['null', `say(null); ${LATER}`, DISTRUSTED],
    ['a number', `say(5); ${LATER}`, DISTRUSTED],
    [
      'half a line, and ends',
      `writeSync(${EVENTS_FD}, '{"type":'); process.exit(1);`,
      /ended \(exit code 1\)/,
    ],
    ['very deep JSON', `say('['.repeat(1e5) + ']'.repeat(1e5)); ${LATER}`, DISTRUSTED],
    [
      'a line without end',
      `const x = Buffer.alloc(1e6, 'x'); for (;;) writeSync(${EVENTS_FD}, x);`,
      DISTRUSTED,
    ],
    ['a flood', `for (;;) say('');`, DISTRUSTED],
    [
      'a flood for the log',
      `for (;;) context.log.info({}, 'x'), say({ nonce: [...seen].at(-1), type: 'log', level: 'info', fields: {}, message: 'x' });`,
      DISTRUSTED,
    ],
    [
      'the answer of another call',
      `say({ nonce: 'guessed', type: 'settled', outcome: { type: 'answered', value: 'forged' } }); ${LATER}`,
      DISTRUSTED,
    ],
    [
      'that it starts, again',
      `say({ nonce: [...seen].at(-1), type: 'started', pid: 1 }); ${LATER}`,
      DISTRUSTED,
    ],
    [
      'what workerpool would say',
      `say({ id: 1, isEvent: true, payload: { type: 'started', pid: 1 } }); ${LATER}`,
      DISTRUSTED,
    ],
    ['what Node would say', `say({ cmd: 'NODE_HANDLE', type: 'nothing' }); ${LATER}`, DISTRUSTED],
    ['nothing more', `closeSync(${EVENTS_FD}); ${LATER}`, /did not answer/, 'timeoutMs: 1_000'],
    ['nothing more, and does not listen', `closeSync(${REQUESTS_FD}); ${LATER}`, /./, 'timeoutMs: 1_000'],
    ['by Node’s own channel', `(process as any).send({ type: 'started' });`, /not a function/],
    ['good-bye', 'process.kill(process.pid, "SIGKILL");', /ended \(SIGKILL\)/],
    [
      'nothing, because it stands still',
      'process.kill(process.pid, "SIGSTOP");',
      /did not answer/,
      'timeoutMs: 1_000',
    ],
  ])('by saying %s fails by itself', async (_, body, reason, fields = 'timeoutMs: 60_000') => {
    const other = await files.tool(
      `context.log.info({}, 'waits'); await until('go ${files.count}'); return 'other';`,
    );
    const beside = run(other);
    const waits = files.logged(`"tool":"${other.name}"`);
    await waits;
    const hostile = await files.tool(body, fields, SAYS);
    await expect(run(hostile)).rejects.toThrow(reason);
    await files.touch(`go ${files.count - 2}`);
    expect(await beside).toBe('other');
    expect(await run(other)).toBe('other');
  });

  test('names nobody to be ended', async () => {
    const victim = spawn('sleep', ['600']);
    try {
      const body = `const { pid } = { pid: ${victim.pid} };
        say({ nonce: [...seen].at(-1), type: 'settled', outcome: { type: 'answered', value: 'done' }, pid, isSpent: true });
        say({ nonce: [...seen].at(-1), type: 'ready', isSpent: true, pid });
        hang();`;
      const hostile = await files.tool(body, 'timeoutMs: 1_000', SAYS);
      expect(await run(hostile)).toBe('done');
      await run(hostile).catch(() => {});
      expect(isAlive(victim.pid ?? 0)).toBe(true);
    } finally {
      victim.kill();
    }
  });

  test('answers for no other tool, though it stays and answers whatever it sees', async () => {
    const forges = `setInterval(() => {
      for (const nonce of seen) say({ nonce, type: 'settled', outcome: { type: 'answered', value: 'forged' } });
    });`;
    const hostile = await files.tool('return process.pid;', undefined, `${SAYS}\n${forges}`).catch(String);
    // It has answered for itself too often already, or it does so when it is called.
    if (typeof hostile !== 'string') await run(hostile).catch(() => {});
    for (let time = 0; time < 3; time += 1) {
      expect(await files.answer('return args.n ?? "own";')).toBe('own');
      if (typeof hostile !== 'string') await run(hostile).catch(() => {});
    }
  });

  test('costs no memory by what it prints', async () => {
    const before = process.memoryUsage().rss;
    const flood = await files.tool(
      `execFileSync('sh', ['-c', 'cat /dev/zero | tee /dev/stderr'], { stdio: 'inherit' });`,
      'timeoutMs: 1_500',
    );
    await expect(run(flood)).rejects.toThrow(/did not answer/);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });
});

/** What a tool starts, by names; each answers its pid. */
const STARTS = `
const child = (command: string, args: string[], detached: boolean): number => {
  const started = spawn(command, args, { detached, stdio: 'ignore' });
  started.unref();
  return started.pid ?? 0;
};
const starts = {
  child: () => child('sleep', ['600'], false),
  detached: () => child('sleep', ['600'], true),
  orphan: () => Number(execFileSync('sh', ['-c', 'setsid sleep 600 >/dev/null 2>&1 & echo $!'], { encoding: 'utf8' })),
  bare: () => child('env', ['-i', 'sleep', '600'], false),
};
const all = (): number[] => Object.values(starts).map((start) => start());
const lives = (pid: number): boolean => {
  try { return !/\\) Z/.test(execFileSync('cat', ['/proc/' + pid + '/stat'], { encoding: 'utf8', stdio: 'pipe' })); } catch { return false; }
};
let before: number[] = [];`;

test('an answer as big as any may be comes through, and one that holds nothing but quotes', async () => {
  const fields = 'timeoutMs: 60_000, maxOutputBytes: 4 * 1024 * 1024';
  expect(await files.answer(`return 'x'.repeat(4 * 1024 * 1024 - 2);`, {}, fields)).toHaveLength(
    4 * 1024 * 1024 - 2,
  );
  expect(await files.answer(`return '"'.repeat(2 * 1024 * 1024 - 1);`, {}, fields)).toHaveLength(
    2 * 1024 * 1024 - 1,
  );
});

describe('what a tool has started', () => {
  test('is ended before its process is used again', async () => {
    const body = `
      if (before.length > 0) return { pid: process.pid, left: before.filter(lives) };
      before = all();
      return { pid: process.pid, started: before.filter(lives) };`;
    // One process in all: a second call would otherwise not wait for what the first has left to be ended.
    const alone = await ToolFiles.open({ processes: 1 });
    onTestFinished(() => alone.close());
    const tool = await alone.tool(body, undefined, STARTS);
    const schema = z.object({ pid: z.number(), started: pidsSchema.optional(), left: pidsSchema.optional() });
    const first = schema.parse(await run(tool));
    expect(first.started).toHaveLength(4);
    const second = schema.parse(await run(tool));
    expect(second).toEqual({ pid: first.pid, left: [] });
  });

  test.each([
    ['it overstays', 'hang();', 'timeoutMs: 3_000'],
    ['it ends its process', 'process.exit(1);', 'timeoutMs: 60_000'],
    ['it crashes', 'process.abort();', 'timeoutMs: 60_000'],
  ])('is ended when %s', async (_, then, fields) => {
    const tool = await files.tool(`context.log.info({ pids: all() }, 'started'); ${then}`, fields, STARTS);
    const running = run(tool).catch(String);
    const line = await eventually(() =>
      files.lines.find((one) => JSON.stringify(one).includes(`"${tool.name}"`)),
    );
    expect(await running).toMatch(/ended|did not answer/);
    const { pids } = z.object({ pids: pidsSchema }).parse(line);
    expect(pids).toHaveLength(4);
    await ended(pids);
  });
});

describe('when the owner goes', () => {
  let owned: ToolFiles | null = null;
  afterEach(async () => {
    await owned?.close();
    owned = null;
  });

  test('all are ended when it closes', async () => {
    owned = await ToolFiles.open();
    const tool = await owned.tool(`context.log.info({ pids: all() }, 'started'); hang();`, undefined, STARTS);
    const running = run(tool).catch(String);
    const { pids } = z.object({ pids: pidsSchema }).parse(await owned.logged('started'));
    await owned.pool.close();
    expect(pids.filter(isAlive)).toEqual([]);
    expect(await running).toContain('closed');
    await expect(run(tool)).rejects.toThrow('closed');
  });

  test('all are ended though it was killed outright', async () => {
    const file = await files.file(
      `context.log.info({ pids: [process.pid, ...all()] }, 'started'); hang();`,
      undefined,
      STARTS,
    );
    const owner = spawn(process.execPath, [fileURLToPath(new URL('pool-owner.ts', import.meta.url)), file]);
    let said = '';
    owner.stdout.on('data', (data) => (said += String(data)));
    const found = await eventually(() => /"pids":(\[[\d,]+\])/.exec(said)?.[1]);
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    const pids = pidsSchema.parse(JSON.parse(found));
    expect(pids).toHaveLength(5);
    // Those that have left the group and thrown away its mark would be beyond our reach; `bare` is in the group.
    await ended(pids);
  });
});

test('a tool context has no channel of Node’s', async () => {
  const tool = await files.tool(
    'return [typeof process.send, typeof process.disconnect, process.connected ?? null];',
  );
  expect(await tool.run({}, toolContext({ timeoutMs: 60_000 }))).toEqual(['undefined', 'undefined', null]);
});
