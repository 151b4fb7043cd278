/** The keys of one thread, by name: what deletes a thread, or looks at all of it, goes through these. */

/** The keys that a thread has once, by name. */
export type OwnKeys = Readonly<
  Record<
    | 'thread'
    | 'active'
    | 'order'
    | 'labels'
    | 'messages'
    | 'messagesIndex'
    | 'messagesGone'
    | 'runs'
    | 'steps'
    | 'toolSteps',
    string
  >
>;

/** The keys that each run of a thread has, by name. */
export type RunKeys = Readonly<
  Record<'run' | 'log' | 'runMessages' | 'runSteps' | 'input' | 'listeners' | 'trace', string>
>;

/** All keys of a thread; `perRun` are those of its runs, without the run's id that each ends in. */
export interface ThreadKeys {
  readonly own: OwnKeys;
  readonly perRun: RunKeys;
}
