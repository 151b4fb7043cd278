import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Toolbox } from '../../src/runs/tool.ts';
import { loadToolbox, ToolboxError } from '../../src/tools/registry.ts';

const tool = (name: string): string =>
  `export default { name: '${name}', description: 'Says hello.', timeoutMs: 10, run: async (): Promise<string> => 'hello' };`;

describe('loadToolbox', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'longrun-tools-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const write = (file: string, text: string): Promise<void> => writeFile(path.join(folder, file), text);
  async function problems(): Promise<readonly string[]> {
    const refusal = await loadToolbox(folder).then(
      (box: Toolbox) => `loaded ${[...box.keys()].join()}`,
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(ToolboxError);
    return refusal instanceof ToolboxError ? refusal.problems : [];
  }

  test('the folder of the service holds the tools clock and SEARCH', async () => {
    const tools = await loadToolbox();
    expect([...tools.keys()]).toStrictEqual(['clock', 'SEARCH']);
  });

  test('every .ts file that lies directly in the folder is a tool, loaded in the order of names', async () => {
    await write('b.ts', tool('first'));
    await write('a.ts', tool('second'));
    await write('notes.md', 'not a tool');
    await write('types.d.ts', 'export type A = string;');
    await mkdir(path.join(folder, 'a'));
    await write('a/part.ts', 'export const part = 1;');
    const tools = await loadToolbox(folder);
    expect([...tools.keys()]).toStrictEqual(['second', 'first']);
    const context = {
      threadId: 't',
      assistantId: null,
      callId: null,
      extras: {},
      secrets: {},
      signal: new AbortController().signal,
    };
    expect(await tools.get('first')?.run({}, context)).toBe('hello');
  });

  test('two tools of one name are refused, naming both files', async () => {
    await write('a.ts', tool('same'));
    await write('b.ts', tool('same'));
    const [problem, ...others] = await problems();
    expect(problem).toContain(path.join(folder, 'b.ts'));
    expect(problem).toContain(path.join(folder, 'a.ts'));
    expect(problem).toContain("'same'");
    expect(others).toStrictEqual([]);
  });

  test.each([
    ['no default export', 'export const x = 1;', 'default export is not a tool'],
    ['a default export that is no object', 'export default 5;', 'default export is not a tool'],
    ['a name that upstreams refuse', tool('two words'), 'name: must be 1 to 64 letters'],
    ['no description', tool('x').replace('Says hello.', ''), 'description: must say what'],
    ['no time limit', tool('x').replace('10', '0'), 'timeoutMs'],
    ['no run', tool('x').replace('run:', 'walk:'), 'run: must be a function'],
    ['a throw', "throw new Error('no luck');", 'the file cannot be loaded: no luck'],
  ])('a file with %s is refused by its name', async (_, text, reason) => {
    await write('bad.ts', text);
    const [problem] = await problems();
    expect(problem).toContain(`${path.join(folder, 'bad.ts')}: `);
    expect(problem).toContain(reason);
  });

  test('every problem is reported at once', async () => {
    await write('a.ts', 'export default {};');
    await write('b.ts', 'export default null;');
    expect(await problems()).toHaveLength(2);
  });

  test('a folder that is not there is named', async () => {
    await expect(loadToolbox(path.join(folder, 'missing'))).rejects.toThrow(
      /missing: the folder cannot be read/,
    );
  });
});
