/** What one kind of job is to BullMQ. Each kind has a queue of its own, and is described in a file of its own. */

export interface JobKind<T extends object> {
  /** Names the queue, in Redis as well: it never changes. */
  readonly queue: string;
  /** Names its jobs to BullMQ. */
  readonly name: string;
  /** Tells jobs apart: one that is added while it exists changes nothing. Without a colon, which BullMQ forbids. */
  readonly idOf: (job: T) => string;
  /** Says which job it is in the log. */
  readonly fieldsOf: (job: T) => Readonly<Record<string, string>>;
}
