/** One operation as a tool: a call becomes one request over the guarded fetch. Keys are sent along and never shown. */
import { ToolError, type Tool, type ToolContext, type ToolFetch } from '../../runs/tool.ts';
import { readAnswer } from './answer.ts';
import type { ApiEndpoint } from './endpoint.ts';
import type { ApiKeys } from './keys.ts';
import { buildRequest } from './request.ts';

/** What all calls of the tool share. */
export interface Calling {
  readonly endpoint: ApiEndpoint;
  /** Where the endpoint's path begins. */
  readonly base: URL;
  readonly keys: ApiKeys;
  readonly fetch: ToolFetch;
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
}

export function createApiTool(name: string, calling: Calling): Tool {
  return {
    name,
    description: calling.endpoint.description,
    parameters: calling.endpoint.parameters,
    timeoutMs: calling.timeoutMs,
    maxOutputBytes: calling.maxResponseBytes,
    cacheS: 0,
    answeredBy: 'worker',
    waitMs: 0,
    run: (args, context) => call(calling, args, context),
  };
}

async function call(calling: Calling, args: unknown, { callId, signal }: ToolContext): Promise<unknown> {
  const { endpoint, keys } = calling;
  const request = buildRequest(endpoint, calling.base, args);
  const headers = new Headers([...request.headers]);
  // The same call may come twice when a worker is lost; an API that acts on it should act once.
  if (callId !== null && endpoint.method !== 'GET') headers.set('idempotency-key', callId);
  for (const [name, value] of keys.headers) headers.set(name, value);
  try {
    const response = await calling.fetch(request.url, {
      method: endpoint.method,
      headers,
      body: request.body,
      // A redirect must not carry the keys away.
      redirect: keys.headers.length === 0 ? 'follow' : 'manual',
      timeoutMs: calling.timeoutMs,
      maxBytes: calling.maxResponseBytes,
      signal,
    });
    return await readAnswer(response, keys.hide);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ToolError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ToolError(`The API could not be asked: ${keys.hide(reason)}`);
  }
}
