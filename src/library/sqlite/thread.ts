/**
 * The thread that has a library in SQLite open. SQLite is synchronous here, and a worker's own thread carries a hundred
 * streams. Calls are answered one after the other.
 */
import { parentPort } from 'node:worker_threads';
import type { ThreadCall } from './calls.ts';
import { ColdTable, openColdDatabase } from './cold-table.ts';
import { LibraryReader } from './reader.ts';
import { openDatabase } from './schema.ts';
import { LibraryWriter } from './writer.ts';

/** As arguments, which need no library to be read: a thread has to load all it imports once more. */
const [, , path = '', role = ''] = process.argv;

function answer(id: number, work: () => unknown): void {
  try {
    const value = work();
    parentPort?.postMessage({ id, value });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    parentPort?.postMessage({ id, error: { name, message } });
  }
}

function call(target: object, name: string, args: readonly unknown[]): unknown {
  const method: unknown = Reflect.get(target, name);
  if (typeof method !== 'function') throw new TypeError(`a ${role} of a library has no ${name}`);
  const value: unknown = Reflect.apply(method, target, args);
  return value;
}

answer(0, () => {
  const database = role === 'cold' ? openColdDatabase(path) : openDatabase(path);
  const now = (): number => Math.floor(Date.now() / 1_000);
  const targetOf = new Map<string, () => object>([
    ['reader', () => new LibraryReader(database)],
    ['writer', () => new LibraryWriter(database, now)],
    ['cold', () => new ColdTable(database)],
  ]);
  const target = targetOf.get(role)?.();
  if (target === undefined) throw new Error(`a thread of a library is no ${role}`);
  parentPort?.on('message', ({ id, name, args }: ThreadCall) => {
    if (name !== 'close') return answer(id, () => call(target, name, args));
    database.close();
    answer(id, () => {});
    parentPort?.close();
  });
});
