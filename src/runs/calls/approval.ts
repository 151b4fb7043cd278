/**
 * Calls of the server's tools that wait until somebody has approved them. The client answers such a call with a decision. A
 * call that was approved is made in a later step, as a call of a function; one that was denied is over, and the model is told.
 */
import type { FunctionTool, RequiredFunctionCall } from '../thread.ts';
import type { RemoteTool } from '../remote.ts';
import type { CallKind } from './kind.ts';

/** A call as a step keeps it; the decision is null until there is one. */
export interface ApprovalCall {
  readonly id: string;
  readonly type: 'approval';
  readonly approval: {
    readonly name: string;
    readonly arguments: string;
    readonly decision: Decision | null;
  };
  /** The tool, where it is of a server that came with the request. */
  readonly remote?: RemoteTool;
}

/** What somebody has decided about a call. */
export interface Decision {
  readonly approve: boolean;
  /** Why, for the model; null where nobody said. */
  readonly reason: string | null;
}

const YES = /^(?:true|yes|ok|approved?|allow(?:ed)?)$/i;
const NO = /^(?:false|no|den(?:y|ied)|rejected?|refused?)$/i;

/** The decision that an output says: `{"approve": true}`, `{"approve": false, "reason": "…"}`, or a word; null for none. */
export function decisionIn(output: string): Decision | null {
  const word = output.trim();
  if (YES.test(word)) return { approve: true, reason: null };
  if (NO.test(word)) return { approve: false, reason: null };
  const said = objectIn(word);
  const { approve, reason } = said;
  if (typeof approve !== 'boolean') return null;
  return { approve, reason: typeof reason === 'string' && reason !== '' ? reason : null };
}

function objectIn(text: string): { readonly approve?: unknown; readonly reason?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** What the model is told in place of an answer. */
export function deniedText(reason: string | null): string {
  return `This call was not made: the user has denied it.${reason === null ? '' : ` ${reason}`}`;
}

export const approvals: CallKind<ApprovalCall, FunctionTool, RequiredFunctionCall> = {
  // No tool offers it: which tools need an approval is said by the run.
  offers: () => [],
  demands: () => null,

  begun: (id, name) => ({ id, type: 'approval', approval: { name, arguments: '', decision: null } }),
  grown: (call, text) => ({
    ...call,
    approval: { ...call.approval, arguments: call.approval.arguments + text },
  }),
  put: (call) => call,
  // What is no decision approves nothing.
  answered: (call, output) => ({
    ...call,
    approval: { ...call.approval, decision: decisionIn(output) ?? { approve: false, reason: output } },
  }),
  isOpen: (call) => call.approval.decision === null,

  answeredBy: () => 'client',
  calledFunction: (call) => asked(call).function,
  required: (call) => ({ ...asked(call), requires_approval: true }),

  asked: (call) => asked(call),
  output: ({ approval: { decision } }) =>
    decision === null || decision.approve ? '' : deniedText(decision.reason),

  shown: (call) => ({ ...shownFunction(call), requires_approval: true }),
  growthDelta: (_call, text) => ({ type: 'function', function: { arguments: text } }),
  outputDelta: () => null,
  answerDelta: () => null,
};

function asked(call: ApprovalCall | RequiredFunctionCall): RequiredFunctionCall {
  if (call.type === 'function') return call;
  const {
    id,
    approval: { name, arguments: text },
  } = call;
  return { id, type: 'function', function: { name, arguments: text } };
}

/** To clients of the Assistants API it is a call of a function, and the decision its output. */
function shownFunction({ id, approval: { name, arguments: text, decision } }: ApprovalCall): object {
  const output = decision === null ? null : JSON.stringify(decision);
  return { id, type: 'function', function: { name, arguments: text, output } };
}
