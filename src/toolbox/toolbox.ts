/**
 * All tools of this process, by name, from all sources. Where two sources have a tool of the same name, the source that
 * was named first wins. Asks the sources each time, because their tools come and go.
 */
import type { Logger } from '../log.ts';
import type { Plugin, Plugins, Tool, ToolSource } from '../runs/tool.ts';

/** What the operator has decided about one tool. */
export interface ToolSettings {
  readonly enabled: boolean;
  /** In place of the tool's own limit. */
  readonly timeoutMs?: number | undefined;
  readonly cacheS?: number | undefined;
  /** Hosts that this tool may reach besides those that every tool may. */
  readonly allowHosts: readonly string[];
  /** Given to the tool with each call. */
  readonly settings: Readonly<Record<string, unknown>>;
}

const NO_CHOICE: ToolSettings = { enabled: true, allowHosts: [], settings: {} };

export class Toolbox implements Plugins {
  readonly #all: readonly ToolSource[];
  readonly #choices: ReadonlyMap<string, ToolSettings>;
  readonly #log: Logger;
  /** Names that were already reported as taken twice. */
  readonly #doubled = new Set<string>();

  constructor(sources: readonly ToolSource[], choices: Readonly<Record<string, ToolSettings>>, log: Logger) {
    this.#all = sources;
    this.#choices = new Map(Object.entries(choices));
    this.#log = log;
  }

  answers(name: string): boolean {
    return this.find(name)?.answeredBy === 'worker';
  }

  find(name: string): Tool | null {
    if (!this.choice(name).enabled) return null;
    for (const source of this.#all) {
      const found = source.tools().find((tool) => tool.name === name);
      if (found !== undefined) return this.#chosen(found);
    }
    return null;
  }

  list(): readonly Plugin[] {
    const plugins = new Map<string, Plugin>();
    for (const source of this.#all) {
      for (const tool of source.tools()) {
        if (!this.choice(tool.name).enabled) continue;
        if (plugins.has(tool.name)) this.#warnOnce(tool.name, source);
        else plugins.set(tool.name, { tool: this.#chosen(tool), source });
      }
    }
    return [...plugins.values()];
  }

  sources(): readonly ToolSource[] {
    return this.#all;
  }

  /** What the operator has decided about the tool. */
  choice(name: string): ToolSettings {
    return this.#choices.get(name) ?? NO_CHOICE;
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((source) => source.close()));
  }

  #chosen(tool: Tool): Tool {
    const { timeoutMs = tool.timeoutMs, cacheS = tool.cacheS } = this.choice(tool.name);
    return { ...tool, timeoutMs, cacheS };
  }

  #warnOnce(name: string, { type, from }: ToolSource): void {
    if (this.#doubled.has(name)) return;
    this.#doubled.add(name);
    this.#log.warn({ tool: name, type, from }, 'this tool is left out: another source has one of that name');
  }
}
