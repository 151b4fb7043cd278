/** Approvals in an input: which call each decides about, whether this response can make it, and that each is decided about once. */
import { ApiError, echo } from '../../errors.ts';
import type { DecidedCall, StoredItem, WireItem } from '../../runs/items.ts';
import { callsOf } from '../../runs/parts.ts';
import { isTerminal } from '../../runs/run.ts';
import type { Message } from '../../runs/thread.ts';
import type { Claim } from '../../store/approvals.ts';
import type { Services } from '../http/services.ts';
import { itemName, responseId } from './ids.ts';
import { OWN_LABEL } from './mcp.ts';
import { threadsBehind, type ResponsePlace } from './place.ts';
import { findItem } from './references.ts';
import { inputTooLarge } from './sizes.ts';
import type { ReadTools } from './tools.ts';

/** A run is made at once after its decisions were claimed; a process that has not done so by then will not. */
const MADE_WITHIN_MS = 120_000;
/** More than a model calls at once. */
const MAX_DECISIONS = 128;

interface Deciding {
  readonly project: string;
  readonly place: ResponsePlace;
  readonly read: Pick<ReadTools, 'remotes' | 'serverTools'>;
}

/**
 * What the approvals of an input decide, by their items. One whose call is among the items as well is over, and decides nothing.
 * @throws {ApiError} 400 for one that answers no request, comes twice, or approves a call that this response has no tool for.
 */
export async function decisionsIn(
  services: Services,
  items: readonly WireItem[],
  { project, place, read }: Deciding,
): Promise<ReadonlyMap<WireItem, DecidedCall>> {
  if (!items.some(({ type }) => type === 'mcp_approval_response')) return new Map();
  const decided = new Map<WireItem, DecidedCall>();
  const seen = new Set<string>();
  const given = new Map(
    items.flatMap((item) => (item.type === 'mcp_approval_request' ? [[textOf(item['id']), item]] : [])),
  );
  const over = new Set(
    items.flatMap((item) => (item.type === 'mcp_call' ? [textOf(item['approval_request_id'])] : [])),
  );
  const behind = await threadsBehind(services, project, place);
  let leftBytes = services.settings.promptLimitBytes;
  for (const [index, item] of items.entries()) {
    if (item.type !== 'mcp_approval_response') continue;
    const approval = textOf(item['approval_request_id']);
    if (over.has(approval)) continue;
    const param = `input[${index}].approval_request_id`;
    if (seen.has(approval))
      throw invalid(`There are two decisions about '${echo(approval)}'. Send one.`, param);
    if (seen.add(approval).size > MAX_DECISIONS)
      throw invalid(`An input may decide about ${MAX_DECISIONS} calls.`, param);
    // What is stored counts: nobody may approve other arguments than were asked about.
    const stored = await findItem(services, project, approval);
    const brought = given.get(approval);
    const isHere = brought !== undefined || behind.has(itemName(approval).threadId ?? '');
    const request = isHere ? (stored ?? brought) : null;
    if (request?.type !== 'mcp_approval_request')
      throw invalid(`No approval request found with id '${echo(approval)}'.`, param);
    const call = decidedCall(item, request, read, param);
    leftBytes -= Buffer.byteLength(call.arguments);
    if (leftBytes < 0) throw inputTooLarge('input', services.settings);
    decided.set(item, { ...call, approval });
  }
  return decided;
}

function decidedCall(
  item: WireItem,
  request: WireItem,
  read: Pick<ReadTools, 'remotes' | 'serverTools'>,
  param: string,
): Omit<DecidedCall, 'approval'> {
  const [label, own] = [textOf(request['server_label']), textOf(request['name'])];
  const approve = item['approve'] === true;
  const name = offeredName(read, label, own);
  if (approve && name === null) throw noTool(label, own, param);
  const reason = textOf(item['reason']) || null;
  return { name: name ?? own, arguments: textOf(request['arguments']), approve, reason };
}

function offeredName(
  { remotes, serverTools }: Pick<ReadTools, 'remotes' | 'serverTools'>,
  label: string,
  own: string,
): string | null {
  if (label === OWN_LABEL) {
    const isRemote = remotes.some(({ tools }) => Object.hasOwn(tools, own));
    return serverTools.includes(own) && !isRemote ? own : null;
  }
  const tools = remotes.find((remote) => remote.label === label)?.tools ?? {};
  return Object.keys(tools).find((offered) => tools[offered] === own) ?? null;
}

/** The decisions that a response is to carry out. */
export interface ClaimedDecisions {
  readonly claims: readonly (readonly [approval: string, claim: Claim])[];
  /** Those whose call an earlier response of this conversation has made: its answer is there. */
  readonly over: ReadonlySet<string>;
}

/**
 * Claims the decisions of an input for the run of its response.
 * @throws {ApiError} 400 for a call that another response has decided about.
 */
export async function claimDecisions(
  services: Services,
  project: string,
  decided: readonly DecidedCall[],
  run: Omit<Claim, 'approve' | 'atMs'>,
): Promise<ClaimedDecisions> {
  const claims: [string, Claim][] = [];
  const over = new Set<string>();
  try {
    for (const { approval, approve } of decided) {
      const mine: Claim = { ...run, approve, atMs: services.nowMs() };
      const isOver = await claimOne(services, project, approval, mine);
      if (isOver) over.add(approval);
      else claims.push([approval, mine]);
    }
    return { claims, over };
  } catch (error) {
    await releaseDecisions(services, project, { claims, over });
    throw error;
  }
}

/** Gives back what was claimed for a run that was not made. */
export async function releaseDecisions(
  { approvals }: Services,
  project: string,
  { claims }: ClaimedDecisions,
): Promise<void> {
  await Promise.all(claims.map(async ([approval, claim]) => approvals.release(project, approval, claim)));
}

/** @returns whether the call was made already, in the thread where the run is to be. */
async function claimOne(
  services: Services,
  project: string,
  approval: string,
  mine: Claim,
): Promise<boolean> {
  const held = await services.approvals.claim(project, approval, mine);
  if (held.runId === mine.runId) return false;
  if (!held.approve) {
    // The model is told again.
    if (!mine.approve) return false;
    throw decidedBefore(approval, `denied in response '${responseId(held.runId)}'`);
  }
  const ref = { project, threadId: held.threadId, runId: held.runId };
  const run = (await services.runs.get(ref))?.stored.state.run;
  // One that is not there is being made, unless its process died before.
  const isComing = run === undefined && mine.atMs - held.atMs < MADE_WITHIN_MS;
  if (isComing || (run !== undefined && !isTerminal(run)))
    throw decidedBefore(approval, `approved, and response '${responseId(held.runId)}' is making the call`);
  const isMade = run === undefined ? !held.isKept : await hasMade(services, ref, approval);
  if (isMade) {
    const isThere = held.threadId === mine.threadId && run?.failed_at != null;
    if (isThere) return true;
    throw decidedBefore(
      approval,
      `approved, and response '${responseId(held.runId)}' has made the call: go on from that one`,
    );
  }
  // The run ended before it could make the call.
  const now = await services.approvals.claim(project, approval, mine, held);
  if (now.runId === mine.runId) return false;
  throw decidedBefore(approval, 'decided about in another response');
}

async function hasMade(
  { objects }: Services,
  ref: { readonly project: string; readonly threadId: string; readonly runId: string },
  approval: string,
): Promise<boolean> {
  const page = await objects.steps.list(ref, { limit: 100, order: 'asc', after: null, before: null });
  const steps = page.type === 'page' ? page.items : [];
  return steps.some(
    (step) =>
      step.status === 'completed' &&
      callsOf(step).some((call) => call.type === 'function' && call.approval_request_id === approval),
  );
}

/** The items, where those whose call is over decide nothing. */
export function withoutOver(
  line: readonly (Message | StoredItem)[],
  { over }: ClaimedDecisions,
): readonly (Message | StoredItem)[] {
  if (over.size === 0) return line;
  return line.map((each) => {
    if (each.object === 'thread.message' || each.approves === undefined) return each;
    const { approves, ...rest } = each;
    return over.has(approves.approval) ? rest : each;
  });
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function invalid(text: string, param: string): ApiError {
  return new ApiError(400, text, { param });
}

function decidedBefore(approval: string, how: string): ApiError {
  const text = `The call that '${echo(approval)}' asked about was ${how}.`;
  return new ApiError(400, text, { param: 'input', code: 'approval_already_decided' });
}

function noTool(label: string, name: string, param: string): ApiError {
  const how =
    label === OWN_LABEL
      ? "Name it in 'metadata.auto_tools', as the request did that led to the call."
      : "Send the server again in 'tools', as in the request that led to the call.";
  const text = `The approved call cannot be made: this request has no tool '${echo(name)}' of the MCP server '${echo(label)}'. ${how}`;
  return new ApiError(400, text, { param, code: 'unknown_tool' });
}
