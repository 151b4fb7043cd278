/**
 * What a worker notes of its work on a run, in the form in which it is kept: few bytes, because every run has some. Times are
 * milliseconds since the second in which the run was created. Names, times and amounts only: never what anybody said.
 */

/** A worker has begun to execute the run. */
export interface BegunNote {
  /** Names the attempt: the number of the event in the run's log that started it. */
  readonly begun: number;
  readonly at: number;
  /** When the job was added that woke the worker; missing where that is not known. */
  readonly queued?: number;
  readonly worker: string;
}

/** What all spans inside an attempt have. */
interface InsideNote {
  /** The attempt. */
  readonly in: number;
  /** Tells the spans of an attempt apart, in the order of their beginning. */
  readonly n: number;
  readonly at: number;
  /** When it ended; missing while it goes on. */
  readonly until?: number;
  /** What went wrong, in a word or two; missing where nothing did. */
  readonly error?: string;
  /** Nobody wanted its end any more. */
  readonly cut?: true;
}

/** A request to a model server: each try is one. */
export interface ModelNote extends InsideNote {
  readonly model: string;
  readonly upstream: string;
  /** The server's name for the model, where that is another. */
  readonly as?: string;
  /** The same was asked before. */
  readonly again?: true;
  /** When the first word, thought or call came. */
  readonly first?: number;
  readonly finish?: string;
  /** Input, output, of the input cached, of the output reasoning; missing where the server did not count. */
  readonly tokens?: readonly [number, number, number, number];
}

/** `function`: a tool of this server; `hosted`: file search or code; `mcp`: of a server that came with the request. */
export type ToolSpanKind = 'function' | 'hosted' | 'mcp';

/** A call that the worker made. */
export interface ToolNote extends InsideNote {
  readonly tool: string;
  readonly kind: ToolSpanKind;
  readonly call: string;
}

/** The worker is through with its attempt. */
export interface OverNote {
  /** The attempt. */
  readonly over: number;
  readonly at: number;
  /** What became of the run, by the event that said so; missing where the worker had lost the run. */
  readonly outcome?: string;
}

export type TraceNote = BegunNote | ModelNote | ToolNote | OverNote;

/** A run has at most this many notes; what comes later is left out. */
export const MOST_NOTES = 500;

/** The longest name in a note: callers may choose those of models and tools. */
const MAX_NAME = 128;

export const shortName = (name: string): string => name.slice(0, MAX_NAME);
