/** Approvals in an input: which call each decides about, and whether this response can make it. */
import { ApiError, echo } from '../../errors.ts';
import type { DecidedCall, WireItem } from '../../runs/items.ts';
import type { Services } from '../http/services.ts';
import { OWN_LABEL } from './mcp.ts';
import { findItem } from './references.ts';
import type { ReadTools } from './tools.ts';

/**
 * What the approvals of an input decide, by their items.
 * @throws {ApiError} 400 for one that answers no request, or approves a call that this response has no tool for.
 */
export async function decisionsIn(
  services: Services,
  project: string,
  items: readonly WireItem[],
  read: Pick<ReadTools, 'remotes' | 'serverTools'>,
): Promise<ReadonlyMap<WireItem, DecidedCall>> {
  const decided = new Map<WireItem, DecidedCall>();
  const given = new Map(
    items.flatMap((item) => (item.type === 'mcp_approval_request' ? [[textOf(item['id']), item]] : [])),
  );
  for (const [index, item] of items.entries()) {
    if (item.type !== 'mcp_approval_response') continue;
    const approval = textOf(item['approval_request_id']);
    const param = `input[${index}].approval_request_id`;
    const request = given.get(approval) ?? (await findItem(services, project, approval));
    if (request?.type !== 'mcp_approval_request') throw noRequest(approval, param);
    const [label, own] = [textOf(request['server_label']), textOf(request['name'])];
    const approve = item['approve'] === true;
    const name = offeredName(read, label, own);
    if (approve && name === null) throw noTool(label, own, param);
    const reason = typeof item['reason'] === 'string' && item['reason'] !== '' ? item['reason'] : null;
    const call = { name: name ?? own, arguments: textOf(request['arguments']) };
    decided.set(item, { ...call, approval, approve, reason });
  }
  return decided;
}

function offeredName(
  { remotes, serverTools }: Pick<ReadTools, 'remotes' | 'serverTools'>,
  label: string,
  own: string,
): string | null {
  if (label === OWN_LABEL) return serverTools.includes(own) ? own : null;
  const tools = remotes.find((remote) => remote.label === label)?.tools ?? {};
  return Object.keys(tools).find((offered) => tools[offered] === own) ?? null;
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function noRequest(id: string, param: string): ApiError {
  return new ApiError(400, `No approval request found with id '${echo(id)}'.`, { param });
}

function noTool(label: string, name: string, param: string): ApiError {
  const how =
    label === OWN_LABEL
      ? "Name it in 'metadata.auto_tools', as the request did that led to the call."
      : "Send the server again in 'tools', as in the request that led to the call.";
  const text = `The approved call cannot be made: this request has no tool '${echo(name)}' of the MCP server '${echo(label)}'. ${how}`;
  return new ApiError(400, text, { param, code: 'unknown_tool' });
}
