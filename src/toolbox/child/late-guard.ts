/**
 * The guard for the requests of one call. Its modules are half of what a start of a tool's process costs, and most tools never fetch:
 * they are loaded with the first request.
 */
import type { Guard } from '../../guard/fetch.ts';
import type { ToolFetch } from '../../runs/tool.ts';

export class LateGuard implements Guard {
  readonly fetch: ToolFetch;
  #guard: Promise<Guard> | null = null;
  #isClosed = false;

  /** @param allow as {@link GuardOptions.allow} of guard/fetch.ts; what is wrong with it is said by the first request */
  constructor(allow: readonly string[]) {
    this.fetch = async (url, init) => {
      if (this.#isClosed) throw new Error('the call that this fetch belongs to is over');
      this.#guard ??= load(allow);
      return (await this.#guard).fetch(url, init);
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await (await this.#guard)?.close();
  }
}

async function load(allow: readonly string[]): Promise<Guard> {
  const { createGuard } = await import('../../guard/fetch.ts');
  return createGuard({ allow });
}
