/** Whose time it is: waiting for a turn, a process that comes up and the tool itself have a limit each. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ToolError } from '../../src/runs/tool.ts';
import { loadFolders, ToolFilesError } from '../../src/toolbox/folder.ts';
import type { ToolPoolOptions } from '../../src/toolbox/pool.ts';
import { run, TOOL_ENV, ToolFiles } from './tool-files.ts';

// A process comes up in a fifth of a second, on a loaded machine in half a minute.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

let files: ToolFiles;
const open = async (options: Partial<ToolPoolOptions>): Promise<ToolFiles> =>
  (files = await ToolFiles.open(options));
afterEach(() => files.close());

/** Pools start their processes by `nice`; this one stands in its way. */
async function openBehind(script: string): Promise<ToolFiles> {
  const system = process.env['PATH'] ?? '';
  const env = { ...TOOL_ENV };
  const opened = await open({ processes: 1, env });
  const bin = path.join(opened.folder, 'bin');
  env.PATH = `${bin}:${system}`;
  await mkdir(bin);
  const lines = ['#!/bin/sh', `PATH='${system}'`, `cd '${opened.folder}'`, script];
  await writeFile(path.join(bin, 'nice'), lines.join('\n'));
  await chmod(path.join(bin, 'nice'), 0o755);
  return opened;
}

describe('the time of a tool', () => {
  test('does not run while its process comes up', async () => {
    await openBehind('sleep 2; exec nice "$@"');
    expect(await files.answer('return "well";', {}, 'timeoutMs: 1_000')).toBe('well');
  });

  test('does not run while its file is imported, by a process that is new', async () => {
    await open({ processes: 1 });
    const slow = await files.tool(
      'return "well";',
      'timeoutMs: 1_000',
      'await new Promise((resolve) => setTimeout(resolve, 2_000));',
    );
    // This one takes the only place.
    expect(await files.answer('return "other";')).toBe('other');
    expect(await run(slow)).toBe('well');
  });
});

describe('a turn', () => {
  test('is waited for only so long by a call, for as long as it takes by a file that is described', async () => {
    await open({ processes: 1, limits: { turnMs: 100 } });
    const order: string[] = [];
    const holds = await files.tool(`context.log.info({}, 'holds'); await until('go'); return 'held';`);
    const other = await files.file('return "other";');
    const held = run(holds).then((value) => order.push(String(value)));
    await files.logged('holds');
    const described = files.pool.describe(other).then(({ name }) => order.push(name));
    const refusal = await run(holds).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(ToolError);
    expect(String(refusal)).toContain('All tool processes are busy. Try again later.');
    await files.touch('go');
    await Promise.all([held, described]);
    expect(order).toEqual(['held', 't2']);
  });

  test('is nobody’s any more when nobody waits', async () => {
    await open({ processes: 1 });
    const tool = await files.tool(`context.log.info({}, 'holds'); await until('go'); return 'held';`);
    const held = run(tool);
    await files.logged('holds');
    const gone = new AbortController();
    const waits = run(tool, { signal: gone.signal });
    gone.abort(new Error('hung up'));
    await expect(waits).rejects.toThrow('hung up');
    await files.touch('go');
    expect([await held, await run(tool)]).toEqual(['held', 'held']);
  });

  test('comes to tools of more files than there are processes', async () => {
    await open({ processes: 2 });
    const tools = await Promise.all(Array.from({ length: 5 }, () => files.tool('return context.threadId;')));
    const calls = [...tools, ...tools].map((tool, index) => ({ tool, threadId: `thread_${index}` }));
    const said = await Promise.all(calls.map(({ tool, threadId }) => run(tool, { threadId })));
    expect(said).toEqual(calls.map(({ threadId }) => threadId));
  });
});

describe('a process that does not come up', () => {
  test('is tried again, and the operator told', async () => {
    await openBehind('if [ -e tried ]; then exec nice "$@"; fi; touch tried; echo no room >&2; exit 1');
    expect(await files.answer('return "well";')).toBe('well');
    expect(await files.logged('a tool is begun again')).toMatchObject({
      reason: expect.stringContaining('no room') as unknown,
    });
  });

  test('is given up after some tries', async () => {
    await openBehind('echo tried >> tries; exit 1');
    await expect(files.answer('return "well";')).rejects.toThrow('its process did not come up (exit code 1)');
    expect(await readFile(path.join(files.folder, 'tries'), 'utf8')).toBe('tried\n'.repeat(3));
  });

  test('because its file hangs for once is tried again; a file that always does is refused', async () => {
    await open({ processes: 1, limits: { loadMs: 5_000, slowMs: 1_000 } });
    const once = `if (!existsSync(folder + '/hung')) { writeFileSync(folder + '/hung', ''); hang(); }`;
    expect(await files.answer('return "well";')).toBe('well');
    expect(await run(await files.tool('return "well";', undefined, once))).toBe('well');
    expect(await files.logged('t2.ts","ms":')).toMatchObject({ msg: 'a tool takes long to load' });
    await expect(files.tool('', undefined, 'hang();')).rejects.toThrow('it did not load within 5 s');
  });
});

test.each([
  [
    'prints and exits',
    `console.error('no licence: call 555'); process.exit(3);`,
    /ended while loading \(exit code 3\): no licence: call 555/,
  ],
  [
    'crashes later',
    `setTimeout(() => { throw new Error('out of luck'); }); await new Promise(() => {});`,
    /ended while loading \(exit code 1\): [^]*out of luck/,
  ],
  ['says nothing', 'process.exit(0);', /ended while loading \(exit code 0\)/],
  ['is killed', `process.kill(process.pid, 'SIGKILL');`, /ended while loading \(SIGKILL\)/],
])('what a file wrote that %s when it was imported is told to the operator', async (_, top, reason) => {
  await open({ processes: 1 });
  const file = await files.file('', undefined, top);
  const refusal = await loadFolders([files.folder], files.pool).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(ToolFilesError);
  const [problem = ''] = refusal instanceof ToolFilesError ? refusal.problems : [];
  expect(problem).toContain(`${file}: it `);
  expect(problem).toMatch(reason);
});
