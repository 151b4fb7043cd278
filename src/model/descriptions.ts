/**
 * What the upstreams say of themselves in their lists of models: which family of servers they are, and the context of
 * each model. Owns these answers. They are asked in the background, when the process starts and again from time to time
 * while there are requests; nothing fails when one does not answer.
 */
import type { Logger } from '../log.ts';
import { whenAwakeFor } from './awake.ts';
import { askForModels, type ListedByUpstream } from './listing.ts';
import { familyOwning, type ServerFamilies } from './settings.ts';
import type { Upstream } from './upstreams.ts';

/** The longest that the first requests wait for the first answer. */
const FIRST_WAIT_MS = 1_000;
/** Nobody waits for what comes after that, and a server that loads its model answers late. */
const ASK_LIMIT_MS = 30_000;
/** A server may be started anew with another model or another context. */
const FRESH_MS = 300_000;
/** A server that could not be reached is asked again, but not with every request. */
const STALE_MS = 5_000;

export interface DescriptionsOptions {
  readonly upstreams: readonly Upstream[];
  readonly families: ServerFamilies;
  readonly log: Logger;
  /** Milliseconds since any fixed time. */
  readonly now?: () => number;
}

interface Known {
  readonly upstream: Upstream;
  /** In the order of the server's list; empty while it has not answered. */
  models: ReadonlyMap<string, ListedByUpstream>;
  family: string | undefined;
  askedMs: number;
  freshMs: number;
  /** Resolves with the first answer, or when it takes too long. */
  first: Promise<void>;
}

export class Descriptions {
  readonly #families: ServerFamilies;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #upstreams: readonly Upstream[];
  /** Empty until {@link begin}: without it, nobody is asked and nothing is known. */
  readonly #known = new Map<string, Known>();

  constructor({ upstreams, families, log, now = () => performance.now() }: DescriptionsOptions) {
    this.#upstreams = upstreams;
    this.#families = families;
    this.#log = log;
    this.#now = now;
  }

  /** Asks every upstream. */
  begin(): void {
    for (const upstream of this.#upstreams) {
      const known: Known = {
        upstream,
        models: new Map(),
        family: undefined,
        askedMs: 0,
        freshMs: FRESH_MS,
        first: Promise.resolve(),
      };
      this.#known.set(upstream.name, known);
      known.first = soon(this.#ask(known));
    }
  }

  /** Waits for the first answer of this upstream, a second at most since the process started. */
  async ready({ name }: Pick<Upstream, 'name'>): Promise<void> {
    const known = this.#known.get(name);
    if (known === undefined) return;
    await known.first;
    if (this.#now() - known.askedMs >= known.freshMs) void this.#ask(known);
  }

  /** The family that the model's server says it belongs to; undefined when it has not said. */
  familyOf({ name }: Pick<Upstream, 'name'>, model: string): string | undefined {
    const known = this.#known.get(name);
    if (known === undefined) return undefined;
    const owner = known.models.get(model)?.ownedBy;
    return (owner === undefined ? undefined : familyOwning(this.#families, owner)) ?? known.family;
  }

  /** The context that the server reports for a model, in tokens; null when it has not said. */
  contextOf({ name }: Pick<Upstream, 'name'>, model: string): number | null {
    const models = this.#known.get(name)?.models ?? new Map<string, ListedByUpstream>();
    // A server with a single model answers with it to every name.
    const only = models.size === 1 ? [...models.values()][0] : undefined;
    return (models.get(model) ?? only)?.contextTokens ?? null;
  }

  /** The upstream could not be reached: when it is back, it may be another server. */
  lost({ name }: Pick<Upstream, 'name'>): void {
    const known = this.#known.get(name);
    if (known !== undefined) known.freshMs = STALE_MS;
  }

  async #ask(known: Known): Promise<void> {
    known.askedMs = this.#now();
    known.freshMs = FRESH_MS;
    try {
      const models = await askForModels(known.upstream, ASK_LIMIT_MS);
      known.models = new Map(models.map((model) => [model.id, model]));
      known.family = models
        .map(({ ownedBy }) => familyOwning(this.#families, ownedBy))
        .find((family) => family !== undefined);
      this.#log.debug(
        { upstream: known.upstream.name, family: known.family, models: models.length },
        'upstream described',
      );
    } catch {
      // Not the error: an upstream may repeat its key in it. Whoever lists the models is told.
      this.#log.debug({ upstream: known.upstream.name }, 'upstream not described');
    }
  }
}

/** Settles with `asked`, or after a second. */
async function soon(asked: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const inTime = whenAwakeFor(FIRST_WAIT_MS, late.resolve);
  await Promise.race([asked, late.promise]);
  inTime();
}
