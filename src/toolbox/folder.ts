/**
 * Tools from folders: every source file that lies directly in one is a tool and exports it as its default. Whatever
 * else a tool needs lies in a folder below. Files of the operator are loaded in a process of the pool first, so that a
 * file that hangs or crashes on loading does not take this process with it.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Tool, ToolSource } from '../runs/tool.ts';
import { CannotStart } from '../cannot-start.ts';
import { readDefinition, type DefinedTool, type ToolDescription } from './definition.ts';
import type { ToolPool } from './pool.ts';

/** The tools that come with Longrun. */
export const BUILT_IN = path.resolve(import.meta.dirname, '../tools');

/** Everything that is wrong with the folders, one line for each problem, with the file's name. */
export class ToolFilesError extends CannotStart {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The tools cannot be loaded:\n${problems.map((line) => `  - ${line}`).join('\n')}`);
    this.problems = problems;
  }
}

/**
 * Loads the tools of folders, each file a source, in the order of folders and file names.
 * @throws {ToolFilesError} naming every file that cannot be loaded, holds no tool, or repeats the name of another.
 */
export async function loadFolders(
  folders: readonly string[],
  pool: ToolPool,
): Promise<readonly ToolSource[]> {
  const problems: string[] = [];
  const files = (
    await Promise.all(folders.map((folder) => toolFiles(path.resolve(folder), problems)))
  ).flat();
  const tools = await Promise.all(files.map((file) => loadTool(file, pool, problems)));
  const first = new Map<string, string>();
  const sources: ToolSource[] = [];
  for (const [index, file] of files.entries()) {
    const tool = tools[index];
    if (tool == null) continue;
    const other = first.get(tool.name);
    if (other !== undefined)
      problems.push(
        `${file}: the tool is named '${tool.name}', as is the one in ${other}. Rename one of them.`,
      );
    else sources.push(sourceOf(file, tool));
    first.set(tool.name, other ?? file);
  }
  if (problems.length > 0) throw new ToolFilesError(problems);
  return sources;
}

async function toolFiles(folder: string, problems: string[]): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory() && /(?<!\.d)\.m?[tj]s$/.test(entry.name))
      .map((entry) => path.join(folder, entry.name))
      .toSorted();
  } catch (error) {
    problems.push(`${folder}: the folder cannot be read: ${messageOf(error)}.`);
    return [];
  }
}

async function loadTool(file: string, pool: ToolPool, problems: string[]): Promise<Tool | null> {
  const problem = (reason: string): null => {
    problems.push(`${file}: ${reason}. See docs/tools.md.`);
    return null;
  };
  try {
    if (path.dirname(file) === BUILT_IN) {
      const own = await importTool(file);
      if ('problem' in own) return problem(own.problem);
      return own.description.isolated ? pool.tool(file, own.description) : inProcess(own.description, own);
    }
    const description = await pool.describe(file);
    if (description.isolated) return pool.tool(file, description);
    const tool = await importTool(file);
    return 'problem' in tool ? problem(tool.problem) : inProcess(tool.description, tool);
  } catch (error) {
    return problem(messageOf(error));
  }
}

/** A tool that runs in this process. */
function inProcess(description: ToolDescription, tool: DefinedTool): Tool {
  return { ...description, waitMs: 0, run: (args, context) => tool.run(args, context) };
}

async function importTool(file: string): Promise<DefinedTool | { readonly problem: string }> {
  const loaded: unknown = await import(pathToFileURL(file).href);
  const exported =
    typeof loaded === 'object' && loaded !== null && 'default' in loaded ? loaded.default : undefined;
  return readDefinition(exported);
}

function sourceOf(file: string, tool: Tool): ToolSource {
  const folder = path.dirname(file);
  return {
    type: folder === BUILT_IN ? 'built_in' : 'file',
    // Clients see this, and the whole path does not concern them.
    from: path.join(path.basename(folder), path.basename(file)),
    tools: () => [tool],
    health: () => ({ status: 'ok' }),
    close: async () => {},
  };
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
}
