/** What one kind of job is to BullMQ. Each kind has a queue of its own, and is described in a file of its own. */
import type { Telemetry } from 'bullmq';

/** What BullMQ tells of jobs, for whoever collects traces. */
export interface JobTracing {
  readonly telemetry: Telemetry;
  /** Does work as part of the span that the header `traceparent` names; without one, as part of none. */
  within<T>(traceparent: string | undefined, work: () => T): T;
}

export interface JobKind<T extends object> {
  /** Names the queue, in Redis as well: it never changes. */
  readonly queue: string;
  /** Names its jobs to BullMQ. */
  readonly name: string;
  /** Tells jobs apart: one that is added while it exists changes nothing. Without a colon, which BullMQ forbids. */
  readonly idOf: (job: T) => string;
  /** Says which job it is in the log. */
  readonly fieldsOf: (job: T) => Readonly<Record<string, string>>;
  /** The span that it belongs to; missing for a kind whose jobs belong to none. */
  readonly spanOf?: (job: T) => string | undefined;
}
