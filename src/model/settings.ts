/**
 * What is said to a model server, and how: the operator's settings for the model and for the upstream, completed by what
 * is known about its family of servers. Pure: the families are passed in.
 */
import type { Upstream } from './upstreams.ts';

/** Settings of an upstream or of a model of it, as the configuration describes them; a missing one is not known. */
export interface ModelSettings {
  readonly maxTokensField?: 'max_completion_tokens' | 'max_tokens' | undefined;
  readonly systemRole?: 'system' | 'developer' | 'first' | 'none' | undefined;
  /** Tokens that prompt and answer may have together. */
  readonly contextTokens?: number | undefined;
  readonly tools?: boolean | undefined;
  readonly images?: boolean | undefined;
  /** Whether `stream_options` is sent: always, or never; missing: when the caller asks for it. */
  readonly streamOptions?: boolean | undefined;
  /** Whether `parallel_tool_calls` is sent: always, or never; missing: only where it is false. */
  readonly parallelToolCalls?: boolean | undefined;
  /** False: `strict` of a tool is never sent. */
  readonly strict?: boolean | undefined;
  readonly callIds?: 'nine' | 'own' | undefined;
  readonly thoughts?: 'keep' | 'fill' | 'drop' | undefined;
  readonly signatures?: 'keep' | 'fill' | undefined;
  /** Fields of the caller that are not sent, by name or path (`top_p`, `messages.name`). */
  readonly omit?: readonly string[] | undefined;
  /** Fields that are sent where the caller's do not say otherwise. */
  readonly extraBody?: Readonly<Record<string, unknown>> | undefined;
}

/** Settings that complete those of a family of servers. */
export interface OwnSettings extends ModelSettings {
  /** The name of the family; missing: as the upstream's address or its own description says. */
  readonly preset?: string | undefined;
}

/** A family of model servers. */
export interface ServerFamily {
  readonly settings: ModelSettings;
  /** What `owned_by` says in its list of models. */
  readonly ownedBy?: string;
  /** Models of the same server that differ. */
  readonly models?: { readonly pattern: RegExp; readonly preset: string };
}

/** ServerFamilies by name. */
export type ServerFamilies = Readonly<Record<string, ServerFamily>>;

/** The family whose servers call themselves so in their list of models; undefined for none. */
export function familyOwning(families: ServerFamilies, ownedBy: string): string | undefined {
  return Object.keys(families).find((name) => families[name]?.ownedBy === ownedBy);
}

/**
 * The settings for a model, by its name at the upstream.
 * @param described the family that the server says it belongs to; undefined when it does not say
 */
export function settingsOf(
  upstream: Upstream,
  model: string,
  families: ServerFamilies,
  described: string | undefined,
): ModelSettings {
  const own = ownSettings(upstream, model);
  const name = own?.preset ?? upstream.preset ?? described;
  const family = name === undefined ? undefined : families[name];
  const other = family?.models?.pattern.test(model) === true ? families[family.models.preset] : undefined;
  return [family?.settings, other?.settings, upstream, own].reduce<ModelSettings>(completed, {});
}

/** What is set for this model alone. Names of models come from callers, so they may be those of inherited properties. */
export function ownSettings({ modelSettings = {} }: Upstream, model: string): OwnSettings | undefined {
  return Object.hasOwn(modelSettings, model) ? modelSettings[model] : undefined;
}

const NAMES = [
  'maxTokensField',
  'systemRole',
  'contextTokens',
  'tools',
  'images',
  'streamOptions',
  'parallelToolCalls',
  'strict',
  'callIds',
  'thoughts',
  'signatures',
] as const satisfies readonly (keyof ModelSettings)[];

/** `before` with what `more` sets. Lists of fields to omit and fields to add are joined. */
function completed(before: ModelSettings, more: ModelSettings | undefined): ModelSettings {
  if (more === undefined) return before;
  const set = NAMES.filter((name) => more[name] !== undefined);
  return {
    ...before,
    ...Object.fromEntries(set.map((name) => [name, more[name]])),
    omit: [...new Set([...(before.omit ?? []), ...(more.omit ?? [])])],
    extraBody: { ...before.extraBody, ...more.extraBody },
  };
}
