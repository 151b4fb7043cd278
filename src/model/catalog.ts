/**
 * The models that a client may name: those that the configuration lists and those that the upstreams report. Owns the
 * cached list; an upstream that fails does not make it fail.
 */
import type { Logger } from '../log.ts';
import { createClient, ownFailure, readText } from './client.ts';
import { countOf, isRecord, parseJson, stringOr } from './json.ts';
import type { Upstream } from './upstreams.ts';

/** A client waits for the list, so an upstream that is down must not delay it long. */
const ASK_LIMIT_MS = 2_000;
const CACHED_MS = 60_000;
const MAX_LIST_BYTES = 4 * 1024 * 1024;
/** The largest public catalogues have hundreds of models. */
const MAX_MODELS = 5_000;

/** A model as `/v1/models` shows it. */
export interface ModelObject {
  readonly id: string;
  readonly object: 'model';
  /** Unix seconds; 0 when unknown. */
  readonly created: number;
  /** As the upstream reports it; else the upstream's name. */
  readonly owned_by: string;
}

export interface ModelCatalogOptions {
  readonly upstreams: readonly Upstream[];
  readonly log: Logger;
  /** Milliseconds since any fixed time. */
  readonly now?: () => number;
}

export class ModelCatalog {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #upstreams: readonly Upstream[];
  #models: Promise<readonly ModelObject[]> = Promise.resolve([]);
  #freshUntil = Number.NEGATIVE_INFINITY;
  /** Whether an upstream did not report its models when it was last asked. */
  #isPartial = false;

  constructor({ upstreams, log, now = () => performance.now() }: ModelCatalogOptions) {
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
    const listed = await this.list();
    return this.#isPartial || listed.some(({ id }) => id === name);
  }

  /** Every model once, in the order of the upstreams; at most a minute old. */
  async list(): Promise<readonly ModelObject[]> {
    if (this.#now() >= this.#freshUntil) {
      this.#freshUntil = this.#now() + CACHED_MS;
      this.#models = this.#refresh();
    }
    return await this.#models;
  }

  async #refresh(): Promise<readonly ModelObject[]> {
    this.#isPartial = false;
    const lists = await Promise.all(
      this.#upstreams.map(async (upstream) => [upstream.name, await this.#ask(upstream)] as const),
    );
    return withConfigured(this.#upstreams, new Map(lists));
  }

  async #ask(upstream: Upstream): Promise<readonly ModelObject[]> {
    try {
      return await askForModels(upstream);
    } catch (error) {
      this.#isPartial = true;
      const why = ownFailure(error)?.message ?? (error instanceof Error ? error.name : 'unknown');
      this.#log.warn(
        { upstream: upstream.name, why },
        'models of upstream unknown: only the configured ones are listed',
      );
      return [];
    }
  }
}

/** The models that an upstream lists. @throws when it sends no list in time. */
export async function askForModels(upstream: Upstream): Promise<readonly ModelObject[]> {
  const response = await createClient(upstream)
    .get('/models', { signal: AbortSignal.timeout(ASK_LIMIT_MS) })
    .asResponse();
  const body = parseJson(await readText(response, MAX_LIST_BYTES));
  if (!isRecord(body) || !Array.isArray(body['data'])) throw new Error('/models is not a list of models');
  return body['data'].slice(0, MAX_MODELS).flatMap((model) => modelObject(model, upstream.name));
}

/**
 * The models that the configuration lists, and those in `listed` (by the upstream's name): each once, in the order of
 * the upstreams.
 */
export function withConfigured(
  upstreams: readonly Upstream[],
  listed: ReadonlyMap<string, readonly ModelObject[]>,
): readonly ModelObject[] {
  const models = new Map<string, ModelObject>();
  for (const { name, aliases, models: own } of upstreams) {
    const theirs = listed.get(name) ?? [];
    // The upstream knows more about a configured model than we do.
    const byId = new Map(theirs.map((model) => [model.id, model]));
    const configured = [...Object.keys(aliases), ...own].map(
      (id) => byId.get(id) ?? { id, object: 'model' as const, created: 0, owned_by: name },
    );
    for (const model of [...configured, ...theirs]) if (!models.has(model.id)) models.set(model.id, model);
  }
  return [...models.values()];
}

/** The names that the configuration gives to an upstream's models. */
function namesIn({ aliases, models, visionModels }: Upstream): readonly string[] {
  return [...Object.keys(aliases), ...Object.keys(visionModels), ...models];
}

function modelObject(model: unknown, upstream: string): ModelObject[] {
  const id = isRecord(model) ? stringOr(model['id']) : '';
  if (!isRecord(model) || id === '') return [];
  const created = countOf(model['created']) ?? 0;
  return [{ id, object: 'model', created, owned_by: stringOr(model['owned_by']) || upstream }];
}
