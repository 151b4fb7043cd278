/** What is asked of a thread that has a library in SQLite open, or the rows of cold threads, and what it answers. */
import type { ColdTable } from './cold-table.ts';
import type { LibraryReader } from './reader.ts';
import type { LibraryWriter } from './writer.ts';

export interface ThreadData {
  readonly path: string;
  /** A thread reads or writes a library, so that searches do not wait for a writer; or it has a file of cold threads. */
  readonly role: 'reader' | 'writer' | 'cold';
}

/** What a thread does; each role has some of it. */
type ThreadMethods = Pick<LibraryReader, keyof LibraryReader> &
  Pick<LibraryWriter, keyof LibraryWriter> &
  Pick<ColdTable, keyof ColdTable> & { close(): void };

export type CallName = keyof ThreadMethods;
export type CallArguments<Name extends CallName> = Parameters<ThreadMethods[Name]>;
export type CallResult<Name extends CallName> = ReturnType<ThreadMethods[Name]>;

export interface ThreadCall {
  readonly id: number;
  readonly name: CallName;
  readonly args: readonly unknown[];
}

/** Id 0 says whether the library could be opened. A value is of the type that the call has. */
export type ThreadReply =
  | { readonly id: number; readonly value: never }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } };
