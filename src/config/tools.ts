/**
 * Settings about tools: which callers may use which tools, the operator's choices for single tools, and the keys for them.
 */
import { z } from 'zod';
import type { Env } from './env.ts';
import { list } from './list.ts';

export const passthroughFields = {
  /** The names of this server's tools that callers of AUTH=passthrough may use; `*` is all. */
  passthroughTools: list(z.string().min(1)).default([]),
};

/**
 * The names of the only tools to offer; null for all. Limited for AUTH=passthrough, whose callers may make their keys up.
 */
export function onlyToolsOf({
  auth,
  passthroughTools,
}: {
  readonly auth: string;
  readonly passthroughTools: readonly string[];
}): readonly string[] | null {
  return auth !== 'passthrough' || passthroughTools.includes('*') ? null : passthroughTools;
}

/** The operator's choices for one tool. */
export const toolSchema = z.strictObject({
  enabled: z.boolean().default(true),
  /** In place of the tool's own limit. */
  timeoutMs: z.int().min(1).max(600_000).optional(),
  /** In place of the tool's own; 0 is never. */
  cacheS: z.int().min(0).max(86_400).optional(),
  /** Hosts that this tool may reach besides those that every tool may. */
  allowHosts: z.array(z.string().min(1)).default([]),
  /** Handed to the tool with each call. */
  settings: z.record(z.string().min(1), z.unknown()).default({}),
  /** Settings whose values are in environment variables: keys of foreign services. */
  settingsEnv: z.record(z.string().min(1), z.string().min(1)).default({}),
});

type ToolSelection = Readonly<z.infer<typeof toolSchema>>;

/** The choice with the settings that `settingsEnv` names; missing variables go to `report`. */
export function withSettings(
  name: string,
  tool: ToolSelection,
  env: Env,
  report: (problem: string) => void,
): ToolSelection {
  const found: readonly (readonly [string, string | undefined])[] = Object.entries(tool.settingsEnv).map(
    ([key, variable]) => {
      const value = env[variable];
      if (!value) report(`tools.${name}: its setting '${key}' should be in ${variable}, which is not set.`);
      return [key, value] as const;
    },
  );
  const settings: Record<string, unknown> = { ...tool.settings, ...Object.fromEntries(found) };
  return { ...tool, settings };
}

/** The choice as it may be logged: settings hold keys under names that only the tools know. */
export function withoutSettings(tool: ToolSelection): Readonly<Record<string, unknown>> {
  return {
    ...tool,
    settings: Object.fromEntries(Object.keys(tool.settings).map((name) => [name, '[redacted]'])),
  };
}
