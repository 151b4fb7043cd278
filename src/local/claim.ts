/**
 * Claims the folder and checks ports before anything is started. The claim is a socket in the folder, which the kernel
 * releases however its owner ends. Ports are only tried, so that a person reads what is wrong at once.
 */
import { chmod, rm } from 'node:fs/promises';
import { createConnection, createServer, type ListenOptions } from 'node:net';
import { cannotListen } from '../port.ts';
import { PRIVATE_FILE } from './private.ts';

/** A host that drops packets must not keep us waiting. */
const ANSWER_MS = 5_000;

/**
 * Claims `path` for this process.
 * @returns a function that gives the claim back
 * @throws when another process holds it.
 */
export async function claim(path: string): Promise<() => Promise<void>> {
  if (await isListening({ path })) {
    throw new Error(
      'Longrun is already running on this folder. Stop that one first, or use a copy of the folder.',
    );
  }
  // A killed process leaves its socket file behind.
  await rm(path, { force: true });
  const letGo = await listen({ path });
  await chmod(path, PRIVATE_FILE);
  return letGo;
}

/** Throws when `port` cannot be listened on, in words for the person who chose it. */
export async function checkPort(port: number, host: string): Promise<void> {
  try {
    const close = await listen({ port, host });
    await close();
  } catch (error) {
    throw cannotListen(error, port, host, 'npm start');
  }
}

/** Whether something accepts connections there. */
export async function isListening(
  where: { path: string } | { port: number; host: string },
): Promise<boolean> {
  const socket = createConnection({ ...where, timeout: ANSWER_MS });
  try {
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('timeout', () => resolve(false));
      socket.once('error', () => resolve(false));
    });
  } finally {
    socket.destroy();
  }
}

async function listen(where: ListenOptions): Promise<() => Promise<void>> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
  return () => new Promise((resolve) => server.close(() => resolve()));
}
