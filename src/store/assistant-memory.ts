/**
 * The assistants that runs were lately begun with in this process, and the names that were lately found to be none: most
 * chats name a model, and would ask Redis only to hear that. Owns this memory.
 *
 *   M1  what this process changes is forgotten before and after the change, so a request sees what was answered before it
 *   M2  what another process changes is forgotten when the channel says so: a moment after the change was answered
 *   M3  a channel that may have lost messages is not believed: while it is down nothing is remembered, and about every
 *       ten seconds everything is forgotten, because it may be down unnoticed, and older processes do not use it
 */
import type { Assistant } from '../runs/thread.ts';
import type { LogHub } from './follow.ts';

/** Names of models come from callers, so they could be endless. */
const MAX_ENTRIES = 1_000;
/** Larger assistants are read anew for each run; in characters, as JSON. */
const MAX_LENGTH = 32 * 1024;
/** No assistant has a longer name or id. */
const MAX_ASKED_LENGTH = 512;

export class AssistantMemory {
  readonly #isHearing: () => boolean;
  /** By project, and in it by what was asked for. */
  readonly #known = new Map<string, Map<string, Assistant | null>>();
  #entries = 0;
  /** How often something was forgotten. */
  #changes = 0;

  /** @param isHearing whether other processes' changes would be heard now */
  constructor(isHearing: () => boolean) {
    this.#isHearing = isHearing;
  }

  /** A memory that hears of changes on a channel that carries the projects whose assistants were changed. */
  static async open(hub: LogHub, channel: string): Promise<AssistantMemory> {
    const memory = new AssistantMemory(() => hub.isHearing);
    await hub.hear(channel, (project) => memory.forget(project));
    return memory;
  }

  /** What is known, or else what `read` finds. @param asked what `read` looks for, by an id or by a name */
  async find(
    project: string,
    asked: string,
    read: () => Promise<Assistant | null>,
  ): Promise<Assistant | null> {
    if (!this.#isHearing()) return read();
    const known = this.#known.get(project)?.get(asked);
    if (known !== undefined) return known;
    const before = this.#changes;
    const found = await read();
    // What changed while it was read may have been read as it was before.
    if (before === this.#changes && this.#isHearing()) this.#keep(project, asked, found);
    return found;
  }

  /** @param project null: of all projects */
  forget(project: string | null): void {
    this.#changes += 1;
    if (project === null) {
      this.#known.clear();
      this.#entries = 0;
    } else {
      this.#entries -= this.#known.get(project)?.size ?? 0;
      this.#known.delete(project);
    }
  }

  #keep(project: string, asked: string, found: Assistant | null): void {
    if (asked.length > MAX_ASKED_LENGTH) return;
    if (found !== null && JSON.stringify(found).length > MAX_LENGTH) return;
    if (this.#entries >= MAX_ENTRIES) this.forget(null);
    const known = this.#known.get(project) ?? new Map<string, Assistant | null>();
    this.#entries += known.has(asked) ? 0 : 1;
    this.#known.set(project, known.set(asked, found));
  }
}
