/**
 * The models shown to callers who bring a key of the model server: what it lists for that key. Owns a small cache of
 * those lists. Keys may be made up, so the number of requests at a time and per minute is limited.
 */
import type { Logger } from '../log.ts';
import { withConfigured, type ModelObject } from './catalog.ts';
import { withCallersKey } from './client.ts';
import type { Facts } from './facts.ts';
import { askForModels, type ListedByUpstream } from './listing.ts';
import { DEFAULT, type Upstream } from './upstreams.ts';

const CACHED_MS = 60_000;
/** A key that was refused may soon become valid. */
const REFUSED_CACHED_MS = 10_000;
const MAX_KEYS = 100;
/** Models kept for one key, because the cache must hold the lists of many keys. */
const MAX_MODELS = 1_000;
const MAX_ASKING = 8;
const MINUTE_MS = 60_000;
const MAX_ASKED_PER_MINUTE = 120;

/** What upstreams list, by their names. */
type Listed = ReadonlyMap<string, readonly ListedByUpstream[]>;

interface Remembered {
  readonly models: Promise<Listed>;
  /** Infinity while the upstream is being asked. */
  freshUntil: number;
}

export interface CallersModelsOptions {
  readonly upstreams: readonly Upstream[];
  readonly facts: Facts;
  readonly log: Logger;
  /** Milliseconds since any fixed time. */
  readonly now?: () => number;
}

export class CallersModels {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #upstreams: readonly Upstream[];
  readonly #facts: Facts;
  /** By the key's digest; the least recently used comes first. */
  readonly #remembered = new Map<string, Remembered>();
  #asking = 0;
  #minuteEnds = Number.NEGATIVE_INFINITY;
  #asked = 0;

  constructor({ upstreams, facts, log, now = () => performance.now() }: CallersModelsOptions) {
    this.#facts = facts;
    this.#log = log;
    this.#now = now;
    this.#upstreams = upstreams;
  }

  /**
   * Every model once, at most a minute old. Only those that the configuration lists, where the upstream refuses the key
   * or too many keys are asked about.
   * @param digest tells keys apart without revealing them
   */
  async list(digest: string, key: string): Promise<readonly ModelObject[]> {
    const [listed, know] = await Promise.all([this.#listed(digest, key), this.#facts.read()]);
    return withConfigured(this.#upstreams, listed, know);
  }

  async #listed(digest: string, key: string): Promise<Listed> {
    const known = this.#remembered.get(digest);
    if (known !== undefined && this.#now() < known.freshUntil) {
      this.#remember(digest, known);
      return known.models;
    }
    const upstream = this.#theirs;
    if (upstream === undefined || !this.#mayAsk()) return new Map();
    const fresh: Remembered = { models: this.#ask(upstream, key, () => fresh), freshUntil: Infinity };
    this.#remember(digest, fresh);
    return fresh.models;
  }

  /** How many lists are cached. */
  get size(): number {
    return this.#remembered.size;
  }

  /**
   * The upstream for models that no upstream lists. A caller's key is sent only there, where the caller's runs would
   * send it too.
   */
  get #theirs(): Upstream | undefined {
    return this.#upstreams.find(({ name }) => name === DEFAULT) ?? this.#upstreams[0];
  }

  #mayAsk(): boolean {
    const now = this.#now();
    if (now >= this.#minuteEnds) {
      this.#minuteEnds = now + MINUTE_MS;
      this.#asked = 0;
    }
    return this.#asking < MAX_ASKING && this.#asked < MAX_ASKED_PER_MINUTE;
  }

  async #ask(upstream: Upstream, key: string, entry: () => Remembered): Promise<Listed> {
    this.#asking += 1;
    this.#asked += 1;
    // Lets `list` store the entry before the code below uses it.
    await Promise.resolve();
    let freshMs = REFUSED_CACHED_MS;
    let listed: readonly ListedByUpstream[] = [];
    try {
      listed = (await askForModels(withCallersKey(upstream, key))).slice(0, MAX_MODELS);
      freshMs = CACHED_MS;
    } catch {
      // Not the error: an upstream may repeat the key in it.
      this.#log.debug({ upstream: upstream.name }, 'no models for a key of a caller');
    } finally {
      this.#asking -= 1;
    }
    entry().freshUntil = this.#now() + freshMs;
    return new Map([[upstream.name, listed]]);
  }

  #remember(digest: string, entry: Remembered): void {
    this.#remembered.delete(digest);
    this.#remembered.set(digest, entry);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_KEYS && oldest !== undefined) this.#remembered.delete(oldest);
  }
}
