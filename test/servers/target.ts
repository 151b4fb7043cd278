/** A kind of model server that is checked: how it is had, how it is started, and what it can be asked for. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ModelServer } from './model-server.ts';
import type { Packages } from './packages.ts';

export interface Target {
  /** As it is named on the command line. */
  readonly name: string;
  readonly title: string;
  /** The tokens that one request may have on it, answer included. */
  readonly contextTokens: number;
  /** What makes the small model call a tool; `nothing`: the server cannot be told to. */
  readonly callsBy: 'grammar' | 'guided decoding' | 'nothing';
  /** Why there are no tools on it at all; null where there are. */
  readonly noTools: string | null;
  /** Why it does not hold answers to a schema; null where it does. */
  readonly noSchema: string | null;
  /**
   * Fetches and starts it.
   * @throws Missing where it cannot be had on this machine; Error when it does not come up.
   */
  readonly start: (packages: Packages) => Promise<Running>;
}

export interface Running {
  /** For example `llama.cpp (xllamacpp 2026.10.11549)`. */
  readonly version: string;
  /** What Longrun asks. */
  readonly front: ModelServer;
  /** What generates: the same, unless `front` is a gateway. */
  readonly behind: ModelServer;
  /** What `front` calls the model. */
  readonly model: string;
  /** The key that `front` asks for, if it does. */
  readonly apiKey?: string;
  /** How Longrun is set up for it, besides its address and key. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Whether it generates something now, by its own word or by its use of the processor. */
  readonly isBusy: () => Promise<boolean>;
  /** What it did that no client sees: words in its log that mean a fault. */
  readonly quietFault: () => string | null;
}

const LOOK_MS = 1_500;
/** Less is what servers do that wait. */
const BUSY_SHARE = 0.1;

/** For servers that do not say whether they generate. */
export async function usesProcessor(server: ModelServer): Promise<boolean> {
  const before = server.processorSeconds();
  await delay(LOOK_MS);
  return server.processorSeconds() - before > (BUSY_SHARE * LOOK_MS) / 1_000;
}

/** The figure that a server's metrics name. */
export async function metric(server: ModelServer, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const figures = [...text.matchAll(new RegExp(`^${name}(?:{[^}]*})? ([\\d.e+]+)$`, 'gm'))];
  if (figures.length === 0) throw new Error(`its metrics have no ${name}`);
  return figures.reduce((sum, [, figure]) => sum + Number(figure), 0);
}
