/**
 * Sends traces to a collector, where one is configured; else nothing of OpenTelemetry is loaded. What goes wrong with the
 * collector is told in the log, now and then, and hurts nobody else.
 */
import type { Logger } from '../log.ts';
import type { Collector } from './collector.ts';

export interface CollectorSettings {
  /** How long spans gather before they are sent. */
  readonly delayMs: number;
  readonly sampler: SamplerName;
  /** Of the traces that begin here, how many are sent: 0 to 1. */
  readonly ratio: number;
}

export type SamplerName =
  | 'always_on'
  | 'always_off'
  | 'traceidratio'
  | 'parentbased_always_on'
  | 'parentbased_always_off'
  | 'parentbased_traceidratio';

/** Which process traces. */
export interface TracedProcess {
  readonly kind: 'api' | 'worker';
  /** Tells processes of a kind apart. */
  readonly instance: string;
}

/** @param settings null where traces are not collected */
export async function openCollector(
  settings: CollectorSettings | null,
  of: TracedProcess,
  log: Logger,
): Promise<Collector | null> {
  if (settings === null) return null;
  const { Collector: Opened } = await import('./collector.ts');
  return new Opened(settings, of, log);
}
