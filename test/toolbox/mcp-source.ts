/** An MCP source as tests use one: what it logs, and waiting for what it becomes, without sleeping. */
import path from 'node:path';
import { pino } from 'pino';
import type { Tool, ToolContext, ToolFetch, ToolSource } from '../../src/runs/tool.ts';
import { toolContext } from '../support/tool-context.ts';
import { createMcpSource, type McpServer, type Pace } from '../../src/toolbox/mcp.ts';

export interface Opened {
  readonly source: ToolSource;
  /** What was logged, as JSON lines. */
  readonly lines: readonly string[];
  /** Waits until the source has changed, or has logged, to what is wanted. */
  until<T>(wanted: () => T | null | undefined | false): Promise<T>;
  /** @throws when there is none. */
  tool(name: string): Tool;
  call(name: string, args?: unknown, context?: Partial<ToolContext>): Promise<unknown>;
}

/** Short where a test would have to wait for it, long where a busy machine would make it fail. */
const PACE: Partial<Pace> = {
  waitMs: 20_000,
  firstPauseMs: 20,
  longestPauseMs: 100,
  graceMs: 200,
  pingMs: 300,
};

const open: ToolSource[] = [];

/** Ends what a test has opened. */
export async function closeSources(): Promise<void> {
  await Promise.all(open.splice(0).map((source) => source.close()));
}

/** A source for a server, named `s` and calling its tools by their own names unless `server` says otherwise. */
export function openSource(
  server: Partial<McpServer>,
  pace: Partial<Pace> = {},
  fetch: ToolFetch = globalThis.fetch,
): Opened {
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const look = (): void => waiting.forEach((check) => check());
  const log = pino(
    { level: 'debug' },
    {
      write: (line: string) => {
        lines.push(line);
        look();
      },
    },
  );
  const source = createMcpSource(
    { command: process.execPath, args: [], env: {}, name: 's', prefix: '', timeoutMs: 10_000, ...server },
    { fetch, log, now: () => Math.floor(Date.now() / 1000), changed: look, pace: { ...PACE, ...pace } },
  );
  open.push(source);
  const tool = (name: string): Tool => {
    const found = source.tools().find((one) => one.name === name);
    if (found === undefined) throw new Error(`no tool '${name}'`);
    return found;
  };
  return {
    source,
    lines,
    tool,
    call: (name, args = {}, context = {}) => tool(name).run(args, toolContext({ fetch, ...context })),
    until: (wanted) =>
      new Promise((resolve) => {
        const check = (): void => {
          const value = wanted();
          if (value === null || value === undefined || value === false) return;
          waiting.delete(check);
          resolve(value);
        };
        waiting.add(check);
        check();
      }),
  };
}

/** As {@link openSource}, for one of the hostile servers. */
export function openHostile(
  script: string,
  server: Partial<McpServer> & { readonly args?: readonly string[] } = {},
  pace: Partial<Pace> = {},
): Opened {
  const file = path.join(import.meta.dirname, 'mcp-servers', `${script}.ts`);
  return openSource({ ...server, args: [file, ...(server.args ?? [])] }, pace);
}
