/** Folders of tools: what is found in them, and what is refused with which words. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUILT_IN, loadFolders, ToolFilesError } from '../../src/toolbox/folder.ts';
import { ToolPool } from '../../src/toolbox/pool.ts';
import { toolContext } from '../support/tool-context.ts';
import { TOOL_ENV } from './tool-files.ts';

const tool = (name: string): string => `
import { z } from 'zod';
import { defineTool } from 'longrun/tool';
export default defineTool({
  name: '${name}',
  description: 'Says hello.',
  parameters: z.object({ to: z.string().describe('Whom to greet').default('you') }),
  run: ({ to }): string => \`hello \${to}\`,
});`;

let folder: string;
let pool: ToolPool;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'longrun-tools-'));
  pool = new ToolPool({
    processes: 2,
    env: TOOL_ENV,
    allowedTo: () => [],
    log: pino({ level: 'silent' }),
  });
});
afterEach(async () => {
  await pool.close();
  await rm(folder, { recursive: true });
});

const write = (file: string, text: string): Promise<void> => writeFile(path.join(folder, file), text);
const load = async () => (await loadFolders([folder], pool)).flatMap((source) => source.tools());

async function problems(folders = [folder]): Promise<readonly string[]> {
  const refusal = await loadFolders(folders, pool).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(ToolFilesError);
  return refusal instanceof ToolFilesError ? refusal.problems : [];
}

test('a file anywhere on the disk may import zod and longrun/tool, and is a tool', async () => {
  await write('greet.ts', tool('greet'));
  const [greet, ...others] = await load();
  expect(others).toEqual([]);
  expect(greet).toMatchObject({
    name: 'greet',
    description: 'Says hello.',
    parameters: { type: 'object', properties: { to: { type: 'string', description: 'Whom to greet' } } },
    timeoutMs: 10_000,
    answeredBy: 'worker',
  });
  expect(await greet?.run({ to: 'Mei' }, toolContext())).toBe('hello Mei');
});

test('every source file that lies directly in the folder is a tool, loaded in the order of names', async () => {
  await write('b.ts', tool('first'));
  await write('a.ts', tool('second'));
  await write('c.js', tool('third').replace(': string', ''));
  await write('d.mjs', tool('fourth').replace(': string', ''));
  await write('notes.md', 'not a tool');
  await write('types.d.ts', 'export type A = string;');
  await mkdir(path.join(folder, 'a'));
  await write('a/part.ts', 'export const part = 1;');
  expect((await load()).map(({ name }) => name)).toEqual(['second', 'first', 'third', 'fourth']);
});

test('a source says which file it is without saying where that lies', async () => {
  await write('a.ts', tool('a'));
  const [source] = await loadFolders([folder], pool);
  expect(source?.from).toBe(path.join(path.basename(folder), 'a.ts'));
  expect(source?.type).toBe('file');
});

test('a tool that says so runs in this process, others in one of their own', async () => {
  const tells = (name: string, isolated: boolean): string =>
    `import { z } from 'zod';
     export default { name: '${name}', description: 'x', parameters: z.object({}), isolated: ${isolated}, run: () => process.pid };`;
  await write('a.ts', tells('here', false));
  await write('b.ts', tells('there', true));
  const [here, there] = await load();
  expect(await here?.run({}, toolContext())).toBe(process.pid);
  expect(await there?.run({}, toolContext())).not.toBe(process.pid);
});

test('two tools of one name are refused, naming both files', async () => {
  await write('a.ts', tool('same'));
  await write('b.ts', tool('same'));
  const [problem, ...others] = await problems();
  expect(problem).toContain(path.join(folder, 'b.ts'));
  expect(problem).toContain(path.join(folder, 'a.ts'));
  expect(problem).toContain("'same'");
  expect(others).toEqual([]);
});

test('a tool with the name of one of our own is refused', async () => {
  await write('a.ts', tool('clock'));
  expect(await problems([BUILT_IN, folder])).toEqual([expect.stringContaining("named 'clock'")]);
});

describe('a file is refused by its name and with a reason', () => {
  test.each([
    ['without a default export', 'export const x = 1;', 'default export is not a tool'],
    ['whose default export is no object', 'export default 5;', 'default export is not a tool'],
    ['with a name that upstreams refuse', tool('two words'), 'name: must be 1 to 64 letters'],
    ['without a description', tool('x').replace('Says hello.', ''), 'description: must say what'],
    ['with a strange time limit', tool('x').replace('run:', 'timeoutMs: 0, run:'), 'timeoutMs'],
    ['without run', tool('x').replace('run:', 'walk:'), 'run: must be a function'],
    [
      'whose parameters are no schema',
      tool('x').replace(/z\.object.*,/, '{},'),
      'parameters: must be a schema',
    ],
    [
      'whose parameters are no object',
      tool('x').replace(/z\.object.*,/, 'z.string(),'),
      'parameters are not an object',
    ],
    ['that throws', "throw new Error('no luck');", 'no luck'],
    ['with a syntax error', 'export default {', 'cannot be loaded'],
    ['that imports what is not there', "import 'no-such-package';", 'no-such-package'],
    ['that ends its process', 'process.exit(3);', 'it ended while loading (exit code 3)'],
  ])('%s', async (_, text, reason) => {
    await write('bad.ts', text);
    const [problem, ...others] = await problems();
    expect(others).toEqual([]);
    expect(problem).toContain(`${path.join(folder, 'bad.ts')}: `);
    expect(problem).toContain(reason);
  });

  test('all at once', async () => {
    await write('a.ts', 'export default {};');
    await write('b.ts', 'export default null;');
    expect(await problems()).toHaveLength(2);
  });

  test('or the folder is, when it is not there', async () => {
    expect(await problems([path.join(folder, 'missing')])).toEqual([
      expect.stringMatching(/missing: the folder cannot be read/),
    ]);
  });
});
