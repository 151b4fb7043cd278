/**
 * The models that a client may name: those that the configuration lists and those that the upstreams report. Owns the
 * cached list; an upstream that fails does not make it fail.
 */
import type { Logger } from '../log.ts';
import type { Facts, Know, ModelFacts } from './facts.ts';
import { askForModels, type ListedByUpstream } from './listing.ts';
import { route, type Upstream } from './upstreams.ts';

const CACHED_MS = 60_000;

/** A model as `/v1/models` shows it. */
export interface ModelObject {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds; 0 when unknown. */
  readonly created: number;
  /** As the upstream reports it; else the upstream's name. */
  readonly owned_by: string;
  readonly longrun: ModelFacts;
}

export interface ModelCatalogOptions {
  readonly upstreams: readonly Upstream[];
  readonly facts: Facts;
  readonly log: Logger;
  /** Milliseconds since any fixed time. */
  readonly now?: () => number;
}

export class ModelCatalog {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #upstreams: readonly Upstream[];
  readonly #facts: Facts;
  #listed: Promise<ReadonlyMap<string, readonly ListedByUpstream[]>> = Promise.resolve(new Map());
  #freshUntil = Number.NEGATIVE_INFINITY;
  /** Whether an upstream did not report its models when it was last asked. */
  #isPartial = false;

  constructor({ upstreams, facts, log, now = () => performance.now() }: ModelCatalogOptions) {
    this.#facts = facts;
    this.#log = log;
    this.#now = now;
    this.#upstreams = upstreams;
  }

  /**
   * Whether a name is a model's name here. Also true while an upstream does not report its models, because it may have
   * this one. Names that the configuration lists cost no request.
   */
  async knows(name: string): Promise<boolean> {
    if (this.#upstreams.some((upstream) => namesIn(upstream).includes(name))) return true;
    const listed = await this.#listedNow();
    return this.#isPartial || [...listed.values()].flat().some(({ id }) => id === name);
  }

  /** Every model once, in the order of the upstreams; at most a minute old, except for what refusals taught. */
  async list(): Promise<readonly ModelObject[]> {
    const [listed, know] = await Promise.all([this.#listedNow(), this.#facts.read()]);
    return withConfigured(this.#upstreams, listed, know);
  }

  /** What the upstreams list, by their names. */
  async #listedNow(): Promise<ReadonlyMap<string, readonly ListedByUpstream[]>> {
    if (this.#now() >= this.#freshUntil) {
      this.#freshUntil = this.#now() + CACHED_MS;
      this.#listed = this.#refresh();
    }
    return await this.#listed;
  }

  async #refresh(): Promise<ReadonlyMap<string, readonly ListedByUpstream[]>> {
    this.#isPartial = false;
    const lists = await Promise.all(
      this.#upstreams.map(async (upstream) => [upstream.name, await this.#ask(upstream)] as const),
    );
    return new Map(lists);
  }

  async #ask(upstream: Upstream): Promise<readonly ListedByUpstream[]> {
    try {
      return await askForModels(upstream);
    } catch (error) {
      this.#isPartial = true;
      // Nothing that the upstream has said: it may repeat its key.
      const why = error instanceof Error ? error.message : 'unknown';
      this.#log.warn(
        { upstream: upstream.name, why },
        'models of upstream unknown: only the configured ones are listed',
      );
      return [];
    }
  }
}

/**
 * The models that the configuration lists, and those in `listed` (by the upstream's name): each once, in the order of
 * the upstreams.
 */
export function withConfigured(
  upstreams: readonly Upstream[],
  listed: ReadonlyMap<string, readonly ListedByUpstream[]>,
  know: Know,
): readonly ModelObject[] {
  const models = new Map<string, ModelObject>();
  for (const upstream of upstreams) {
    const theirs = listed.get(upstream.name) ?? [];
    const byId = new Map(theirs.map((model) => [model.id, model]));
    const ids = [...Object.keys(upstream.aliases), ...upstream.models, ...byId.keys()];
    for (const id of ids) {
      if (models.has(id)) continue;
      // The upstream knows more about a configured model than we do.
      const model = byId.get(id);
      const asked = route([upstream], id, null).model;
      models.set(id, {
        id,
        object: 'model',
        created: model?.created ?? 0,
        owned_by: model?.ownedBy || upstream.name,
        longrun: know(upstream, asked, byId.get(asked) ?? model),
      });
    }
  }
  return [...models.values()];
}

/** The names that the configuration gives to an upstream's models. */
function namesIn({ aliases, models, visionModels }: Upstream): readonly string[] {
  return [...Object.keys(aliases), ...Object.keys(visionModels), ...models];
}
