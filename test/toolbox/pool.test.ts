/** Processes of tools: what a tool may do there, and that nothing it does outlives its limits. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { toolContext } from '../support/tool-context.ts';
import { ended, eventually, run, ToolFiles } from './tool-files.ts';

// A process comes up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const SECRET = 'sk-of-the-operator';

let files: ToolFiles;
const toolOf: ToolFiles['tool'] = (body, fields) => files.tool(body, fields);
const answer: ToolFiles['answer'] = (body, changes, fields) => files.answer(body, changes, fields);

/** For tools that overstay; the others have the time that they need. */
const SHORT = 'timeoutMs: 500';

beforeAll(async () => {
  process.env['OPENAI_API_KEY'] = SECRET;
  files = await ToolFiles.open();
});

afterAll(async () => {
  delete process.env['OPENAI_API_KEY'];
  await files?.close();
});

describe('a tool', () => {
  test('is told its call, its settings and its arguments', async () => {
    const tool = await toolOf(
      'return { ...context, args, signal: context.signal.aborted, fetch: typeof context.fetch };',
    );
    expect(
      await tool.run(
        { n: 3, more: 1 },
        toolContext({ runId: 'run_1', callId: 'call_1', settings: { unit: 'K' }, extras: { at: 'home' } }),
      ),
    ).toEqual({
      project: 'p',
      runId: 'run_1',
      threadId: 'thread_1',
      assistantId: null,
      callId: 'call_1',
      extras: { at: 'home' },
      secrets: {},
      settings: { unit: 'K' },
      args: { n: 3 },
      signal: false,
      fetch: 'function',
      log: {},
      timeoutMs: 10_000,
    });
  });

  test('whose arguments do not fit is not run', async () => {
    const tool = await toolOf('throw new Error("run");');
    await expect(tool.run({ n: 'three' }, toolContext())).rejects.toThrow(/^Wrong arguments. n: /);
  });

  test('can give the model a reason', async () => {
    await expect(answer('throw new ToolError("No such city.");')).rejects.toMatchObject({
      name: 'ToolError',
      message: 'No such city.',
    });
  });

  test('sees nothing of our environment', async () => {
    const seen = await answer(
      'const { readFileSync } = await import("node:fs"); return JSON.stringify(process.env) + readFileSync("/proc/self/environ", "utf8");',
    );
    expect(seen).toContain('PATH');
    expect(seen).not.toContain(SECRET);
  });

  test('writes to the log, but not without end', async () => {
    await answer(
      'for (let i = 0; i < 1e5; i++) { context.log.info({ i }, "working"); console.log("x".repeat(1e3)); } return 1;',
      {},
      'timeoutMs: 120_000',
    );
    const own = files.lines.filter((line) => JSON.stringify(line).includes(`"t${files.count}"`));
    expect(own.length).toBeGreaterThan(0);
    expect(own.length).toBeLessThanOrEqual(20);
    expect(Math.max(...own.map((line) => JSON.stringify(line).length))).toBeLessThan(1_000);
  });

  test('reaches no private address', async () => {
    let hits = 0;
    const server = createServer((_request, response) => {
      hits += 1;
      response.end('secret');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = z.object({ port: z.number() }).parse(server.address());
    await expect(answer(`return (await context.fetch("http://127.0.0.1:${port}/")).text();`)).rejects.toThrow(
      /private/,
    );
    expect(hits).toBe(0);
    server.close();
  });
});

describe('a tool that misbehaves fails by itself', () => {
  test.each([
    ['loops for ever', 'for (;;) {}', /did not answer within 0.5 s/, SHORT],
    [
      'loops for ever and ignores what it is told',
      'process.on("SIGTERM", () => {}); for (;;) {}',
      /did not answer/,
      SHORT,
    ],
    ['never settles', 'await new Promise(() => {});', /did not answer/, SHORT],
    ['blocks', 'execFileSync("sleep", ["60"]);', /did not answer/, SHORT],
    ['backtracks without end', 'return /^(a+)+$/.test("a".repeat(60) + "!");', /did not answer/, SHORT],
    ['throws', 'throw new Error("out of luck");', /out of luck/],
    ['throws something odd', 'throw null;', /null/],
    ['throws later', 'setTimeout(() => { throw new Error("late"); }); await new Promise(() => {});', /ended/],
    ['ends its process', 'process.exit(0);', /ended/],
    ['answers 100 MB', 'return "x".repeat(1e8);', /answered 100000002 bytes/],
    ['answers binary data', 'return new Uint8Array(8);', /binary/],
    ['answers what is no JSON', 'const a: unknown[] = []; a.push(a); return a;', /not JSON/],
    [
      'fills the heap',
      'const a = []; for (;;) a.push(new Array(1e5).fill(1));',
      /ended/,
      'timeoutMs: 120_000',
    ],
    [
      'leaks outside of the heap',
      'const a = []; for (;;) { a.push(Buffer.alloc(1e7, 1)); await new Promise(setImmediate); }',
      /ended/,
      'timeoutMs: 120_000',
    ],
  ])('%s', async (_, body, reason, fields?: string) => {
    await expect(answer(body, {}, fields)).rejects.toThrow(reason);
    // And the next call finds a process.
    expect(await answer('return "well";')).toBe('well');
  });

  test('by the limit of its call, which the operator may have chosen', async () => {
    await expect(answer('for (;;) {}', { timeoutMs: 100 })).rejects.toThrow('within 0.1 s');
  });

  test('and is ended when nobody waits any more', async () => {
    const controller = new AbortController();
    const tool = await toolOf(
      'context.log.info({ pid: process.pid }, "begun"); for (;;) {}',
      'timeoutMs: 60_000',
    );
    const running = run(tool, { signal: controller.signal });
    const begun = await files.logged('begun');
    controller.abort(new Error('hung up'));
    await expect(running).rejects.toThrow('hung up');
    const { pid } = z.object({ pid: z.number() }).parse(begun);
    await ended([pid]);
  });
});

test('calls beyond the processes wait for their turn', async () => {
  const tool = await toolOf('await new Promise((resolve) => setTimeout(resolve, 50)); return process.pid;');
  const pids = await Promise.all(Array.from({ length: 6 }, () => tool.run({}, toolContext())));
  expect(new Set(pids).size).toBe(2);
});

test('a process in a loop ends when its owner is killed', async () => {
  const tool = await toolOf('context.log.info({}, `child ${process.pid}`); for (;;) {}', 'timeoutMs: 60_000');
  const owner = spawn(process.execPath, [
    fileURLToPath(new URL('pool-owner.ts', import.meta.url)),
    `${files.folder}/t${files.count}.ts`,
  ]);
  let said = '';
  owner.stdout.on('data', (data) => (said += String(data)));
  const pid = await eventually(() => /child (\d+)/.exec(said)?.[1]);
  owner.kill('SIGKILL');
  await ended([Number(pid)]);
  expect(tool.name).toBe(`t${files.count}`);
});
