/**
 * The kinds of calls there are. A new kind is a file beside this one and a line in each of the three lists; the agent
 * loop, the fold, the prompt and the protocols use it through the functions below. A process that does not know a kind
 * cannot fold runs that have such calls, so those runs need a new format (format.ts).
 */
import type { RunOrigin } from '../event.ts';
import type { ChatCall, ChatMessage } from '../model.ts';
import type { AssistantTool, CustomTool, OfferedTool, RequiredCall, Run, ToolChoice } from '../thread.ts';
import { approvals, type ApprovalCall } from './approval.ts';
import { codeCalls, type CodeCall, type CodeOutput } from './code-interpreter.ts';
import { customs, type CustomCall } from './custom.ts';
import { fileSearches, type FileSearchCall } from './file-search.ts';
import { functions, type FunctionCall } from './function.ts';
import type { Answerer, CallKind, CalledFunction, CallView, HostedAnswer } from './kind.ts';

/** A call of any kind, as it is kept. */
export type StepCall = FunctionCall | CustomCall | FileSearchCall | CodeCall | ApprovalCall;
/** A call of a tool that the hosted API ran itself, as the worker does here. */
export type HostedCall = FileSearchCall | CodeCall;
/** A tool as a run declares it; its type is that of its calls, unless they wait for an approval. */
export type DeclaredTool = AssistantTool | CustomTool;
export type CallType = StepCall['type'];

type AnyKind = CallKind<StepCall, DeclaredTool, RequiredCall>;

const KINDS: Readonly<Record<CallType, AnyKind>> = {
  function: functions,
  custom: customs,
  file_search: fileSearches,
  code_interpreter: codeCalls,
  approval: approvals,
};

/** The format of runs that have such tools, where it is not the first (format.ts). */
const FORMATS: Readonly<Record<CallType, number>> = {
  function: 1,
  custom: 2,
  file_search: 4,
  code_interpreter: 4,
  approval: 6,
};

/** The format of a run: the newest that its tools, its choice among them, or what becomes of its calls need. */
export function formatOf(
  { tools, tool_choice: choice }: Pick<Run, 'tools' | 'tool_choice'>,
  origin: Pick<RunOrigin, 'leaves_calls' | 'response' | 'approvals' | 'remotes'>,
): number {
  return Math.max(formatOfOrigin(origin), formatOfChoice(choice), ...tools.map(({ type }) => FORMATS[type]));
}

function formatOfOrigin({
  leaves_calls: leavesCalls,
  response,
  approvals: needed,
  remotes,
}: Pick<RunOrigin, 'leaves_calls' | 'response' | 'approvals' | 'remotes'>): number {
  if (needed !== undefined || remotes !== undefined) return FORMATS.approval;
  return leavesCalls === true || response !== undefined ? LINE_FORMAT : 1;
}

/** Of runs among items, and of those that leave their calls (format.ts). */
const LINE_FORMAT = 5;

function formatOfChoice(choice: ToolChoice): number {
  if (typeof choice === 'string') return 1;
  return choice.type === 'allowed_tools' ? FORMATS.custom : FORMATS[choice.type];
}

const kindOf = ({ type }: StepCall): AnyKind => KINDS[type];

/** The tools that offer these to a model. */
export function offeredTools(tools: readonly DeclaredTool[]): readonly OfferedTool[] {
  return tools.flatMap((tool) => KINDS[tool.type].offers(tool));
}

/** The name under which a model calls a tool. */
export function toolName(tool: OfferedTool): string {
  return tool.type === 'custom' ? tool.custom.name : tool.function.name;
}

/** The names under which a model calls these tools. */
export function toolNames(tools: readonly DeclaredTool[]): readonly string[] {
  return offeredTools(tools).map(toolName);
}

/** The name of the one tool that a choice demands; null for a choice among several. */
export function demandedTool(choice: Exclude<ToolChoice, string>): string | null {
  return choice.type === 'allowed_tools' ? null : KINDS[choice.type].demands(choice);
}

/** The kind of a call that names this function; a plain function where no tool offers it. */
export function typeOfCalls(
  name: string,
  { run, origin }: { readonly run: Pick<Run, 'tools'>; readonly origin: Pick<RunOrigin, 'approvals'> },
): CallType {
  if (origin.approvals?.includes(name) === true) return 'approval';
  return declarationOf(name, run.tools)?.type ?? 'function';
}

function declarationOf(name: string, tools: readonly DeclaredTool[]): DeclaredTool | null {
  const offers = (tool: DeclaredTool): boolean =>
    KINDS[tool.type].offers(tool).some((offered) => toolName(offered) === name);
  return tools.find(offers) ?? null;
}

/** A call as the model begins it. @param tools of the run, where they are known */
export function beginCall(
  type: CallType,
  id: string,
  name: string,
  tools: readonly DeclaredTool[] = [],
): StepCall {
  const tool = type === 'function' ? null : declarationOf(name, tools);
  return KINDS[type].begun(id, name, tool?.type === type ? tool : null);
}

/** The call with a further fragment of its arguments. */
export function growCall(call: StepCall, text: string): StepCall {
  return kindOf(call).grown(call, text);
}

/** The call with what it has put out on the way. */
export function putOut(call: StepCall, output: CodeOutput): StepCall {
  return kindOf(call).put(call, output);
}

/** The call with its answer. @param answer of a hosted tool */
export function answerCall(call: StepCall, output: string, answer?: HostedAnswer): StepCall {
  return kindOf(call).answered(call, output, answer);
}

/** Whether the call is still unanswered. */
export function isOpenCall(call: StepCall): boolean {
  return kindOf(call).isOpen(call);
}

/** Who answers the call in such a run. */
export function answererOf(
  call: StepCall,
  { run, origin }: { readonly run: Pick<Run, 'tools'>; readonly origin: Pick<RunOrigin, 'server_tools'> },
): Answerer {
  return kindOf(call).answeredBy(call, {
    declares: (name) => declarationOf(name, run.tools) !== null,
    serves: (name) => origin.server_tools.includes(name),
  });
}

/** The function that a call names, with its arguments; the call as it is kept, or as the client is asked for it. */
export function calledFunction(call: StepCall | RequiredCall): CalledFunction {
  return KINDS[call.type].calledFunction(call);
}

/** The call as a run demands an answer from its client. */
export function requiredCall(call: StepCall): RequiredCall {
  return kindOf(call).required(call);
}

/** The call as the model made it. */
export function askedCall(call: StepCall): ChatCall {
  return kindOf(call).asked(call);
}

/** The answer to the call, as text. */
export function outputOf(call: StepCall): string {
  return kindOf(call).output(call);
}

/** The answer to the call, as a message for the model. */
export function answerMessage(call: StepCall): Extract<ChatMessage, { role: 'tool' }> {
  return { role: 'tool', tool_call_id: call.id, content: outputOf(call) };
}

/** The call as a step shows it. */
export function shownCall(call: StepCall, view: CallView): object {
  return kindOf(call).shown(call, view);
}

/** The delta of a stream when the call has grown by `text`; null for none. */
export function growthDelta(call: StepCall, index: number, text: string): object | null {
  const said = kindOf(call).growthDelta(call, text);
  return said && { index, type: call.type, ...said };
}

/** The delta of a stream when the call has put this out; null for none. */
export function outputDelta(call: StepCall, index: number, output: CodeOutput): object | null {
  const said = kindOf(call).outputDelta(call, output);
  return said && { index, type: call.type, ...said };
}

/** The delta of a stream when the call is answered; null for none. */
export function answerDelta(call: StepCall, index: number, output: string): object | null {
  const said = kindOf(call).answerDelta(output);
  return said && { index, type: call.type, ...said };
}
