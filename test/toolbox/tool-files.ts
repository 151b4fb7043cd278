/** Tools as an operator writes them, in files of a folder, run in the processes of a pool; and what tests see of processes. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import type { Tool, ToolContext } from '../../src/runs/tool.ts';
import { ToolPool, type ToolPoolOptions } from '../../src/toolbox/pool.ts';
import { COMPILE_CACHE } from '../support/compile-cache.ts';
import { toolContext } from '../support/tool-context.ts';

/** All that the processes of tools see of an environment. */
export const TOOL_ENV = { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: COMPILE_CACHE };

export class ToolFiles {
  readonly folder: string;
  readonly pool: ToolPool;
  /** What the pool and its tools have logged. */
  readonly lines: unknown[] = [];
  count = 0;

  private constructor(folder: string, options: Partial<ToolPoolOptions>) {
    this.folder = folder;
    this.pool = new ToolPool({
      processes: 2,
      env: TOOL_ENV,
      allowedTo: () => [],
      log: pino({}, { write: (line) => this.lines.push(JSON.parse(line)) }),
      ...options,
    });
  }

  static async open(options: Partial<ToolPoolOptions> = {}): Promise<ToolFiles> {
    return new ToolFiles(await mkdtemp(path.join(tmpdir(), 'longrun-pool-')), options);
  }

  async close(): Promise<void> {
    await this.pool.close();
    await rm(this.folder, { recursive: true });
  }

  /**
   * The file of a tool of this body. `fields` are further fields of its definition, `top` is what stands before it. Body and
   * top may call `hang`, which is as deaf as an endless loop and takes no processor from the tests beside it.
   */
  async file(body: string, fields = 'timeoutMs: 60_000', top = ''): Promise<string> {
    this.count += 1;
    const file = path.join(this.folder, `t${this.count}.ts`);
    await writeFile(
      file,
      `import { z } from 'zod';
       import { defineTool, ToolError } from 'longrun/tool';
       import { execFileSync, spawn } from 'node:child_process';
       import { closeSync, existsSync, writeFileSync, writeSync } from 'node:fs';
       const folder = ${JSON.stringify(this.folder)};
       const until = async (name: string): Promise<void> => {
         while (!existsSync(folder + '/' + name)) await new Promise((resolve) => setTimeout(resolve, 20));
       };
       const hang = (): void => {
         for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
       };
       ${top}
       export default defineTool({
         name: 't${this.count}', description: 'x', parameters: z.object({ n: z.number().optional() }), ${fields},
         async run(args, context) { ${body} },
       });`,
    );
    return file;
  }

  /** Lets tools go on that wait \`until\` this. */
  async touch(name: string): Promise<void> {
    await writeFile(path.join(this.folder, name), '');
  }

  async tool(body: string, fields?: string, top?: string): Promise<Tool> {
    const file = await this.file(body, fields, top);
    return this.pool.tool(file, await this.pool.describe(file));
  }

  /** What a tool of this body answers. */
  async answer(body: string, changes: Partial<ToolContext> = {}, fields?: string): Promise<unknown> {
    return run(await this.tool(body, fields), changes);
  }

  /** The first line of the log that holds this, past or future. */
  logged(text: string): Promise<unknown> {
    return eventually(() => this.lines.find((line) => JSON.stringify(line).includes(text)));
  }
}

/** Runs a tool as the runner does: with its own limit, unless the operator has another. */
export async function run(
  tool: Tool,
  changes: Partial<ToolContext> = {},
  args: unknown = {},
): Promise<unknown> {
  return tool.run(args, toolContext({ timeoutMs: tool.timeoutMs, ...changes }));
}

/** Whether it runs; what has ended and only has not been asked how does not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z';
  } catch {
    return false;
  }
}

/** Looks until there is something; the test's own time limit ends it. */
export async function eventually<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves when none of the processes runs any more. */
export async function ended(pids: readonly number[]): Promise<void> {
  await eventually(() => (pids.some(isAlive) ? undefined : true));
}
