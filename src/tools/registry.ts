/**
 * The tools this process can run. The folder is the registry: every `.ts` file that lies directly in it, but this one
 * and runner.ts, is one tool and exports it as its default. What a tool needs beside its own file lies in a folder of the tool's name.
 * Never runs a tool.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { Tool, Toolbox } from '../runs/tool.ts';

const OWN_FOLDER = import.meta.dirname;
/** What lies in our own folder without being a tool. */
const NO_TOOLS: readonly string[] = [import.meta.filename, path.join(OWN_FOLDER, 'runner.ts')];

/** Names that every upstream accepts as function names. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

const toolSchema = z.object({
  name: z.string().regex(NAME, 'must be 1 to 64 letters, digits, _ or -'),
  description: z.string().min(1, 'must say what the tool does'),
  timeoutMs: z.number().int().positive(),
  run: z.custom<Tool['run']>((value) => typeof value === 'function', 'must be a function'),
});

/** Everything that is wrong with the folder, one line each, naming the file. */
export class ToolboxError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The tools cannot be loaded:\n${problems.map((line) => `  - ${line}`).join('\n')}`);
    this.name = 'ToolboxError';
    this.problems = problems;
  }
}

/**
 * Loads the tools of a folder, in the order of their file names.
 * @throws {ToolboxError} naming every file that cannot be loaded, holds no tool, or repeats the name of another.
 */
export async function loadToolbox(folder: string = OWN_FOLDER): Promise<Toolbox> {
  const tools = new Map<string, Tool>();
  const files = new Map<string, string>();
  const problems: string[] = [];
  for (const file of await toolFiles(folder)) {
    const tool = await loadTool(file, problems);
    if (tool === null) continue;
    const first = files.get(tool.name);
    if (first === undefined) {
      tools.set(tool.name, tool);
      files.set(tool.name, file);
    } else {
      problems.push(
        `${file}: the tool is named '${tool.name}', as is the one in ${first}. Rename one of them.`,
      );
    }
  }
  if (problems.length > 0) throw new ToolboxError(problems);
  return tools;
}

async function toolFiles(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
      .map((entry) => path.join(folder, entry.name))
      .filter((file) => !NO_TOOLS.includes(path.resolve(file)))
      .toSorted();
  } catch (error) {
    throw new ToolboxError([`${folder}: the folder cannot be read: ${messageOf(error)}.`]);
  }
}

async function loadTool(file: string, problems: string[]): Promise<Tool | null> {
  let tool: unknown;
  try {
    const loaded: unknown = await import(pathToFileURL(path.resolve(file)).href);
    tool = z.object({ default: z.unknown().optional() }).parse(loaded).default;
  } catch (error) {
    problems.push(`${file}: the file cannot be loaded: ${messageOf(error)}.`);
    return null;
  }
  // The tool itself is kept, not the parsed copy: it may be an object with state behind its `run`.
  if (isTool(tool)) return tool;
  const issues = toolSchema.safeParse(tool).error?.issues ?? [];
  const reasons = issues.map(({ path: [key], message }) =>
    key === undefined ? message : `${String(key)}: ${message}`,
  );
  problems.push(
    `${file}: its default export is not a tool (${reasons.join('; ')}). See Tool in src/runs/tool.ts.`,
  );
  return null;
}

function isTool(value: unknown): value is Tool {
  return toolSchema.safeParse(value).success;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
