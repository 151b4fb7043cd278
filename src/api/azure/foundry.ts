/**
 * The classic agents client of Azure AI Foundry (`azure-ai-agents`, `@azure/ai-agents`): Assistants under a project's
 * path, with that service's tool types, and errors in the form that its libraries read.
 */
import { unsupported, type ApiError } from '../../errors.ts';
import type { Call } from '../http/call.ts';
import type { Endpoint, Refusal } from '../http/endpoint.ts';

/**
 * Tools that only that service runs. The refusal names the tool, because the usual list of supported types would not help.
 */
const HOSTED_TOOLS: ReadonlySet<unknown> = new Set([
  'azure_ai_search',
  'azure_function',
  'bing_custom_search',
  'bing_grounding',
  'browser_automation',
  'computer_use_preview',
  'connected_agent',
  'deep_research',
  'fabric_dataagent',
  'mcp',
  'openapi',
  'sharepoint_grounding',
]);

/** The endpoints of all base paths, adapted to the agents client. */
export function foundryEndpoints(shared: readonly Endpoint[]): readonly Endpoint[] {
  return shared.map((endpoint) => {
    if (endpoint.method !== 'POST' || !/^\/(assistants|threads)\b/.test(endpoint.path)) return endpoint;
    const handle: Endpoint['handle'] = (call) => {
      refuseHostedTools(call);
      return endpoint.handle(call);
    };
    return { ...endpoint, handle };
  });
}

function refuseHostedTools(call: Call): void {
  const tools = call.glance('tools');
  for (const [index, tool] of Array.isArray(tools) ? tools.entries() : []) {
    refuseHosted(tool, `tools[${index}].type`);
  }
  refuseHosted(call.glance('tool_choice'), 'tool_choice.type');
}

function refuseHosted(tool: unknown, param: string): void {
  if (typeof tool !== 'object' || tool === null || !('type' in tool) || !HOSTED_TOOLS.has(tool.type)) return;
  throw unsupported(`The tool type '${String(tool.type)}' is`, param);
}

/**
 * A refusal in the form that Azure's libraries read: they show a `code`, which OpenAI's errors may lack, and a `target`.
 */
export const foundryRefusal: Refusal = ({ status, type, code, param, body }: ApiError) => ({
  status,
  body: { error: { ...body.error, code: code ?? CODES[status] ?? type, target: param } },
});

/** Codes for refusals that have none. */
const CODES: Readonly<Record<number, string>> = {
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
};
