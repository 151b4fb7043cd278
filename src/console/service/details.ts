/** What `GET /v1/admin/service` tells beside the figures. */
import type { ServiceNews } from '../admin-stream.ts';

export interface ServiceDetails extends ServiceNews {
  readonly projects: readonly ProjectDetails[];
  readonly tools: readonly ToolDetails[];
  readonly mcp_servers: readonly McpServer[];
  readonly limits: Readonly<Record<string, number>>;
  readonly settings: Readonly<Record<string, unknown>> & {
    readonly upstreams: readonly UpstreamSettings[];
  };
}

export interface ProjectDetails {
  readonly project: string;
  readonly open_runs: number;
  readonly usage_today: UsageDay | null;
  readonly limits: { readonly max_open_runs: number | null };
}

export type Health =
  | { readonly status: 'ok' }
  | { readonly status: 'unavailable'; readonly since: number; readonly reason: string };

export interface ToolDetails {
  readonly name: string;
  readonly description: string;
  readonly source: { readonly type: string; readonly from: string };
  readonly answered_by: string;
  readonly timeout_ms: number;
  readonly health: Health;
}

interface McpState {
  readonly state: string;
  /** Unix seconds. */
  readonly since: number | null;
  readonly last_error: string | null;
}

export interface McpServer extends McpState {
  readonly name: string;
  readonly tools: readonly string[];
  readonly workers: readonly (McpState & { readonly worker: string })[];
}

export interface UpstreamSettings {
  readonly name: string;
  readonly models: readonly string[];
  readonly preset: string | null;
  readonly slots: number | null;
}

/** A day in UTC. */
export interface UsageDay {
  /** `2026-11-26`. */
  readonly date: string;
  /** By how they ended. */
  readonly runs: Readonly<Record<string, number>>;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  /** In the currency of the configuration; missing where prices are not known. */
  readonly cost?: number;
  readonly currency?: string;
}

/** `GET /ready`. */
export interface Readiness {
  readonly because: readonly string[];
  readonly clock_skew_ms: number | null;
}
