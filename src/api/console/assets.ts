/** The console's files, built when somebody asks for the first of them. */
import { Worker } from 'node:worker_threads';
import type { Assets } from './build.ts';

/** Where the files are served. */
export const ASSETS_PATH = '/console/assets';

export class ConsoleAssets {
  #built: Promise<Assets> | null = null;

  /** @throws where the sources or the libraries are not there; the next call tries again. */
  async get(): Promise<Assets> {
    this.#built ??= buildInThread().catch((error: unknown) => {
      this.#built = null;
      throw error;
    });
    return this.#built;
  }
}

async function buildInThread(): Promise<Assets> {
  const thread = new Worker(new URL('./build-thread.ts', import.meta.url), {
    workerData: ASSETS_PATH,
    // Node calls the stripping of types experimental where it is asked for by name. Its own use of the same function is not.
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  try {
    return await firstMessage(thread);
  } finally {
    await thread.terminate();
  }
}

async function firstMessage(thread: Worker): Promise<Assets> {
  return new Promise((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`the thread that builds the console ended with ${code}`)));
  });
}
