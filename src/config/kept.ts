/** How long things are kept: runs that do not end, the events of ended runs, unused threads. */
import { z } from 'zod';

export const keptFields = {
  /** A run's whole life, waiting for tool outputs included; the hosted API gave 600 s. */
  runExpiresAfterS: z.coerce.number().int().min(1).max(86_400).default(600),
  /** How long the event log of an ended run stays readable. */
  logKeptS: z.coerce.number().int().min(1).default(600),
  /** How long the trace of a run stays after its last change, or of a chat without a thread as long as its log; 0: none is kept. */
  traceKeptS: z.coerce.number().int().min(0).max(31_536_000).default(604_800),
  /**
   * Threads are deleted this many days after their last use. 0 is never, because operators do not expect a store to
   * delete by itself.
   */
  threadKeptDays: z.coerce.number().int().min(0).max(36_500).default(0),
  /** Threads that were not used for so many hours leave Redis until they are asked for; 0 is never. Tests use fractions. */
  threadColdAfterH: z.coerce.number().min(0).max(876_000).default(0),
  /** While Redis uses more than this, threads that were not used for a day leave it; 0 is never. */
  threadColdAboveMb: z.coerce.number().int().min(0).default(0),
};
