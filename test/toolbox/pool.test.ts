/** Processes of tools: what a tool may do there, and that nothing it does outlives its limits. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Tool, ToolContext } from '../../src/runs/tool.ts';
import { ToolPool } from '../../src/toolbox/pool.ts';
import { toolContext } from '../support/tool-context.ts';

const SECRET = 'sk-of-the-operator';

let folder: string;
let pool: ToolPool;
const lines: unknown[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'longrun-pool-'));
  process.env['OPENAI_API_KEY'] = SECRET;
  pool = new ToolPool({
    processes: 2,
    env: { PATH: process.env['PATH'] ?? '' },
    allowedTo: () => [],
    log: pino({}, { write: (line) => lines.push(JSON.parse(line)) }),
  });
});

afterAll(async () => {
  delete process.env['OPENAI_API_KEY'];
  await pool?.close();
  await rm(folder, { recursive: true });
});

let count = 0;

/** A tool of this body, in a file of its own. `fields` are further fields of its definition. */
async function toolOf(body: string, fields = 'timeoutMs: 500'): Promise<Tool> {
  count += 1;
  const file = path.join(folder, `t${count}.ts`);
  await writeFile(
    file,
    `import { z } from 'zod';
     import { defineTool, ToolError } from 'longrun/tool';
     import { execFileSync } from 'node:child_process';
     export default defineTool({
       name: 't${count}', description: 'x', parameters: z.object({ n: z.number().optional() }), ${fields},
       async run(args, context) { ${body} },
     });`,
  );
  return pool.tool(file, await pool.describe(file));
}

const answer = async (body: string, changes: Partial<ToolContext> = {}, fields?: string): Promise<unknown> =>
  run(await toolOf(body, fields), changes);

/** Runs a tool as the runner does: with its own limit, unless the operator has another. */
async function run(tool: Tool, changes: Partial<ToolContext> = {}, args: unknown = {}): Promise<unknown> {
  return tool.run(args, toolContext({ timeoutMs: tool.timeoutMs, ...changes }));
}

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
      'timeoutMs: 20_000',
    );
    const own = lines.filter((line) => JSON.stringify(line).includes(`"t${count}"`));
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
    ['loops for ever', 'for (;;) {}', /did not answer within 0.5 s/],
    [
      'loops for ever and ignores what it is told',
      'process.on("SIGTERM", () => {}); for (;;) {}',
      /did not answer/,
    ],
    ['never settles', 'await new Promise(() => {});', /did not answer/],
    ['blocks', 'execFileSync("sleep", ["60"]);', /did not answer/],
    ['backtracks without end', 'return /^(a+)+$/.test("a".repeat(60) + "!");', /did not answer/],
    ['throws', 'throw new Error("out of luck");', /out of luck/],
    ['throws something odd', 'throw null;', /null/],
    ['throws later', 'setTimeout(() => { throw new Error("late"); }); await new Promise(() => {});', /ended/],
    ['ends its process', 'process.exit(0);', /ended/],
    ['answers 100 MB', 'return "x".repeat(1e8);', /answered 100000002 bytes/, 'timeoutMs: 10_000'],
    ['answers binary data', 'return new Uint8Array(8);', /binary/],
    ['answers what is no JSON', 'const a: unknown[] = []; a.push(a); return a;', /not JSON/],
    [
      'fills the heap',
      'const a = []; for (;;) a.push(new Array(1e5).fill(1));',
      /ended/,
      'timeoutMs: 20_000',
    ],
    [
      'leaks outside of the heap',
      'const a = []; for (;;) { a.push(Buffer.alloc(1e7, 1)); await new Promise(setImmediate); }',
      /ended/,
      'timeoutMs: 20_000',
    ],
  ])('%s', async (_, body, reason, fields?: string) => {
    await expect(answer(body, {}, fields)).rejects.toThrow(reason);
    // And the next call finds a process.
    expect(await answer('return "well";', {}, 'timeoutMs: 10_000')).toBe('well');
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
    const begun = await eventually(() => lines.find((line) => JSON.stringify(line).includes('begun')));
    controller.abort(new Error('hung up'));
    await expect(running).rejects.toThrow('hung up');
    const { pid } = z.object({ pid: z.number() }).parse(begun);
    await eventually(() => (isAlive(pid) ? undefined : true));
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
    path.join(folder, `t${count}.ts`),
  ]);
  let said = '';
  owner.stdout.on('data', (data) => (said += String(data)));
  const pid = await eventually(() => /child (\d+)/.exec(said)?.[1]);
  owner.kill('SIGKILL');
  await eventually(() => (isAlive(Number(pid)) ? undefined : true));
  expect(tool.name).toBe(`t${count}`);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Looks until there is something; the test's own time limit ends it. */
async function eventually<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
