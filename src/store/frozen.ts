/**
 * A thread as it lies in a row: the values of its keys by the names of thread-keys.ts, so that neither the prefix of the keys
 * nor the kind of Redis matters, as JSON under zstd.
 */
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { decode, Unreadable } from './json.ts';
import type { RedisKeys, ThreadRef } from './keys.ts';
import type { OwnKeys, RunKeys } from './thread-keys.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Rows of a later format are left to the newer version of this service that wrote them. */
const FORMAT = 1;
/** No row that was written here is larger. */
const MAX_BYTES = 256 * 1024 * 1024;

/** What there may be under a key. */
export type KeyKind = 'hash' | 'zset' | 'string' | 'stream';

/** The keys that a thread has once; null for one that no thread has that is frozen. */
export const OWN_KINDS: Readonly<Record<keyof OwnKeys, KeyKind | null>> = {
  thread: 'hash',
  active: null,
  order: 'string',
  labels: 'hash',
  messages: 'hash',
  messagesIndex: 'zset',
  messagesGone: 'zset',
  runs: 'zset',
  steps: 'hash',
  toolSteps: 'zset',
};

/** Those of each of its runs; null for those that only chats without a thread have, and for what a cold thread does without. */
export const RUN_KINDS: Readonly<Record<keyof RunKeys, KeyKind | null>> = {
  run: 'hash',
  log: 'stream',
  runMessages: 'zset',
  runSteps: 'zset',
  input: null,
  listeners: null,
  trace: null,
};

/** One key of a thread, and what is under it. */
export interface FrozenKey {
  readonly name: keyof OwnKeys | keyof RunKeys;
  /** The run that it belongs to. */
  readonly runId?: string;
  readonly kind: KeyKind;
  /** When it expires (unix milliseconds). */
  readonly expiresMs?: number;
  /** As thaw.lua takes them: for instance scores before their members. */
  readonly values: readonly string[];
}

interface FrozenThread {
  readonly format: number;
  readonly keys: readonly FrozenKey[];
}

export async function packed(keys: readonly FrozenKey[]): Promise<Uint8Array> {
  return compress(JSON.stringify({ format: FORMAT, keys } satisfies FrozenThread));
}

/** What {@link packed} made. @throws {Unreadable} when it is something else. */
export async function unpacked(body: Uint8Array, { threadId }: ThreadRef): Promise<readonly FrozenKey[]> {
  const what = `thread ${threadId}`;
  const text = await decompress(body, { maxOutputLength: MAX_BYTES }).catch(() => {
    throw new Unreadable(what);
  });
  const frozen = decode<FrozenThread | null>(text.toString(), what);
  if (frozen?.format !== FORMAT) throw new Unreadable(what);
  return frozen.keys;
}

/** The key in Redis. */
export function keyOf(keys: RedisKeys, ref: ThreadRef, { name, runId }: FrozenKey): string {
  const names: Readonly<Record<string, string>> =
    runId === undefined ? keys.ownKeys(ref) : keys.runKeys({ ...ref, runId });
  const key = names[name];
  if (key === undefined) throw new Unreadable(`thread ${ref.threadId}`);
  return key;
}
