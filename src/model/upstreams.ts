/** The model servers, and which of them a turn goes to. Pure: settings are passed in. */
import { createHash } from 'node:crypto';
import type { Prices } from '../runs/cost.ts';
import { ModelError } from '../runs/model.ts';
import type { Limits } from './patience.ts';
import type { OwnSettings } from './settings.ts';
import type { ThinkTagMode } from './think-tags.ts';

/** An OpenAI-compatible server, as the configuration describes it. */
export interface Upstream extends OwnSettings {
  /** The name that an assistant's `metadata.backend_id` refers to. */
  readonly name: string;
  /** Everything before `/chat/completions`, usually ending in `/v1`. */
  readonly baseUrl: string;
  readonly apiKey?: string | undefined;
  /** Models this upstream serves, by its own names. */
  readonly models: readonly string[];
  /** Names clients use → names the upstream knows. */
  readonly aliases: Readonly<Record<string, string>>;
  /** Names clients use → the model to ask when a picture is in the prompt. */
  readonly visionModels: Readonly<Record<string, string>>;
  /** Settings of single models, by the upstream's names for them. */
  readonly modelSettings?: Readonly<Record<string, OwnSettings>> | undefined;
  /** What its models cost; `modelPrices` by the upstream's names for them. */
  readonly prices?: Prices | undefined;
  readonly modelPrices?: Readonly<Record<string, Prices>> | undefined;
  /** Sent with every request; names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Added to the address of every request. */
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** The header that carries the key, in place of `authorization`. */
  readonly keyHeader?: string | undefined;
  /** Values of headers and query that errors must not repeat. */
  readonly secrets?: readonly string[] | undefined;
  /** Where the thoughts in its text are. */
  readonly thinkTags: ThinkTagMode;
  /** Its own limits, in place of the general ones. */
  readonly idleMs?: number | undefined;
  readonly stallMs?: number | undefined;
  readonly thinkMs?: number | undefined;
  readonly totalMs?: number | undefined;
  readonly waitMs?: number | undefined;
}

/** How long to wait for an upstream: its own limits where it has any, else the general ones. */
export function limitsOf({ idleMs, stallMs, thinkMs, totalMs }: Upstream, all: Limits): Limits {
  return {
    idleMs: idleMs ?? all.idleMs,
    stallMs: stallMs ?? all.stallMs,
    thinkMs: thinkMs ?? all.thinkMs,
    totalMs: totalMs ?? all.totalMs,
  };
}

/** Where a turn goes, and the model's name there. */
export interface Route {
  readonly upstream: Upstream;
  readonly model: string;
  /** The upstream's key is the caller's own and came with the request. */
  readonly isCallersKey?: boolean;
}

/**
 * What is learned about a model is kept under this name: upstream, model, and the caller's own key, if any. Models and
 * limits depend on whose key it is, so what one caller is refused says nothing about others.
 */
export function learnedAt({ upstream, model, isCallersKey }: Route): string {
  const { name, apiKey = '' } = upstream;
  const whose = isCallersKey === true ? [createHash('sha256').update(apiKey).digest('base64url')] : [];
  return JSON.stringify([name, model, ...whose]);
}

/** As a backend id it means the same as none. It also names the upstream for models that no upstream lists. */
export const DEFAULT = 'default';

/**
 * Finds the upstream for a model.
 * @param backendId an upstream's name; null or `default` leaves the choice to the model's name
 * @throws {ModelError} when no upstream is configured, or none has that name.
 */
export function route(
  upstreams: readonly Upstream[],
  model: string,
  backendId: string | null,
  hasPicture = false,
): Route {
  const upstream =
    backendId === null || backendId === DEFAULT
      ? (upstreams.find((candidate) => serves(candidate, model)) ?? named(upstreams, DEFAULT) ?? upstreams[0])
      : named(upstreams, backendId);
  if (upstream !== undefined)
    return { upstream, model: resolveAlias(upstream, seeing(upstream, model, hasPicture)) };
  if (upstreams.length === 0) {
    throw new ModelError(
      'server_error',
      'No model server is configured. Set OPENAI_BASE_URL (and OPENAI_API_KEY), or list upstreams in the config file.',
    );
  }
  const known = upstreams.map(({ name }) => `'${name}'`).join(', ');
  throw new ModelError(
    'server_error',
    `The backend_id '${backendId}' names no upstream of this server. It knows ${known}; 'default' lets the model decide.`,
    { facts: { reason: `A backend_id names no upstream of this server. It knows ${known}.` } },
  );
}

/** The name of the upstream that {@link route} finds, or null where it finds none. */
export function upstreamNameOf(
  upstreams: readonly Upstream[],
  model: string,
  backendId: string | null,
): string | null {
  try {
    return route(upstreams, model, backendId).upstream.name;
  } catch (error) {
    if (error instanceof ModelError) return null;
    throw error;
  }
}

/** What a model costs at the upstream that {@link route} finds; null where that is not known. */
export function pricesOf(
  upstreams: readonly Upstream[],
  model: string,
  backendId: string | null,
): Prices | null {
  try {
    return pricesAt(route(upstreams, model, backendId));
  } catch (error) {
    if (error instanceof ModelError) return null;
    throw error;
  }
}

/** What the model of a route costs; null where the configuration does not say. */
export function pricesAt({ upstream: { prices, modelPrices = {} }, model }: Route): Prices | null {
  return (Object.hasOwn(modelPrices, model) ? modelPrices[model] : undefined) ?? prices ?? null;
}

/** Whether any model has a price. */
export function hasPrices(upstreams: readonly Upstream[]): boolean {
  return upstreams.some(({ prices, modelPrices }) => prices !== undefined || modelPrices !== undefined);
}

function seeing({ visionModels }: Upstream, model: string, hasPicture: boolean): string {
  return (hasPicture ? entry(visionModels, model) : undefined) ?? model;
}

function serves({ aliases, models }: Upstream, model: string): boolean {
  return entry(aliases, model) !== undefined || models.includes(model);
}

function named(upstreams: readonly Upstream[], name: string): Upstream | undefined {
  return upstreams.find((upstream) => upstream.name === name);
}

function resolveAlias({ aliases }: Upstream, model: string): string {
  return entry(aliases, model) ?? model;
}

/** Devices write the names of agents as `<name>`; operators may list them either way. */
function entry(names: Readonly<Record<string, string>>, name: string): string | undefined {
  return [name, `<${name}>`].filter((key) => Object.hasOwn(names, key)).map((key) => names[key])[0];
}
