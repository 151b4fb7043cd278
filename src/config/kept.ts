/** How long things are kept: runs that do not end, the events of ended runs, unused threads. */
import { z } from 'zod';

export const keptFields = {
  /** A run's whole life, waiting for tool outputs included; the hosted API gave 600 s. */
  runExpiresAfterS: z.coerce.number().int().min(1).max(86_400).default(600),
  /** How long the event log of an ended run stays readable. */
  logKeptS: z.coerce.number().int().min(1).default(600),
  /**
   * Threads are deleted this many days after their last use. 0 is never, because operators do not expect a store to
   * delete by itself.
   */
  threadKeptDays: z.coerce.number().int().min(0).max(36_500).default(0),
};
