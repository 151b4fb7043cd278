/**
 * Calls of `code_interpreter`: the model writes Python, the worker runs it, and what it prints and draws is told while it
 * runs. The model writes JSON; clients see the code in it, also while it is being written.
 */
import type { CodeInterpreterTool, FunctionTool, RequiredFunctionCall } from '../thread.ts';
import type { CallKind } from './kind.ts';
import { NOTHING_READ, readPiece, type CodeGrowth } from './growing-code.ts';
import { codeIn } from './written-code.ts';

/** What code has printed or drawn. */
export type CodeOutput =
  | { readonly type: 'logs'; readonly logs: string }
  | { readonly type: 'image'; readonly image: { readonly file_id: string } };

/** A file that code has made: its path in the sandbox, and what it is here. */
export interface MadeFile {
  readonly path: string;
  readonly file_id: string;
}

/** What is left when code is done. */
export interface CodeAnswer {
  readonly type: 'ran';
  readonly files: readonly MadeFile[];
  /** For the model: why the code did not run, or was ended. */
  readonly note?: string;
}

/** A call as a step keeps it. `files` is null until the code is done. */
export interface CodeCall {
  readonly id: string;
  readonly type: 'code_interpreter';
  readonly code_interpreter: {
    /** JSON, as the model wrote it. */
    readonly arguments: string;
    readonly outputs: readonly CodeOutput[];
    readonly files: readonly MadeFile[] | null;
    readonly note?: string;
  };
}

/** The function that offers the interpreter to models. */
const CODE_INTERPRETER = 'code_interpreter';
/** Where the files of a run lie for its code. */
export const DATA_FOLDER = '/mnt/data/';

const OFFER: FunctionTool = {
  type: 'function',
  function: {
    name: CODE_INTERPRETER,
    description: `Runs Python and answers what it prints. Variables stay from call to call. Files of this conversation lie in ${DATA_FOLDER}, and what should be kept is written there. numpy, pandas, matplotlib, pillow and openpyxl are installed; there is no network. Figures of matplotlib are shown to the user. To give the user another file, link to it in the answer as [name](sandbox:${DATA_FOLDER}name).`,
    parameters: {
      type: 'object',
      properties: { code: { type: 'string', description: 'Python to run.' } },
      required: ['code'],
    },
    strict: false,
  },
};

export const codeCalls: CallKind<CodeCall, CodeInterpreterTool, RequiredFunctionCall> = {
  offers: () => [OFFER],
  demands: (choice) => (choice.type === 'code_interpreter' ? CODE_INTERPRETER : null),

  begun: (id) => ({
    id,
    type: 'code_interpreter',
    code_interpreter: { arguments: '', outputs: [], files: null },
  }),
  grown: (call, text) => grown(call, text),
  put: (call, output) => changed(call, { outputs: withOutput(call.code_interpreter.outputs, output) }),
  // Without an answer there is only a text for the model: why the code was not run.
  answered: (call, output, answer) =>
    changed(call, answer?.type === 'ran' ? leftBy(answer) : { files: [], note: output }),
  isOpen: (call) => call.code_interpreter.files === null,

  answeredBy: () => 'worker',
  calledFunction: (call) => (call.type === 'function' ? call.function : functionOf(call)),
  required: (call) => required(call),

  asked: (call) => required(call),
  output: ({ code_interpreter: { outputs, files, note } }) => {
    const said = outputs.map((output) =>
      output.type === 'logs' ? output.logs : '[a figure, shown to the user]',
    );
    const made = (files ?? []).map(({ path }) => `[new file: sandbox:${path}]`);
    return [...said, ...made, ...(note === undefined ? [] : [note])].join('\n') || '[no output]';
  },

  shown: ({ id, type, code_interpreter: { arguments: text, outputs } }) => ({
    id,
    type,
    code_interpreter: { input: codeIn(text), outputs },
  }),
  growthDelta: (call, text) => {
    const input = addedBy(call, text);
    return input === '' ? null : { code_interpreter: { input } };
  },
  outputDelta: ({ code_interpreter: { outputs } }, output) => ({
    code_interpreter: { outputs: [{ index: Math.max(0, outputs.length - 1), ...output }] },
  }),
  answerDelta: () => null,
};

/** How far a call is read whose growth somebody asks for: its next growth goes on from there. */
const READ = new WeakMap<CodeCall, CodeGrowth & { readonly piece: string }>();

function grown(call: CodeCall, piece: string): CodeCall {
  const more = changed(call, { arguments: call.code_interpreter.arguments + piece });
  const read = READ.get(call);
  if (read !== undefined)
    READ.set(more, { ...readPiece(read.state, piece, () => more.code_interpreter.arguments), piece });
  return more;
}

/** The code that the last piece has added to a call. */
function addedBy(call: CodeCall, piece: string): string {
  const known = READ.get(call);
  if (known?.piece === piece) return known.code;
  const all = call.code_interpreter.arguments;
  const before = all.slice(0, all.length - piece.length);
  const { state } = readPiece(NOTHING_READ, before, () => before);
  const read = { ...readPiece(state, piece, () => all), piece };
  READ.set(call, read);
  return read.code;
}

function changed(call: CodeCall, change: Partial<CodeCall['code_interpreter']>): CodeCall {
  return { ...call, code_interpreter: { ...call.code_interpreter, ...change } };
}

/** What is printed without a picture in between is one output. */
function withOutput(outputs: readonly CodeOutput[], output: CodeOutput): readonly CodeOutput[] {
  const last = outputs.at(-1);
  if (last?.type !== 'logs' || output.type !== 'logs') return [...outputs, output];
  return outputs.with(outputs.length - 1, { type: 'logs', logs: last.logs + output.logs });
}

const leftBy = ({ files, note }: CodeAnswer): Partial<CodeCall['code_interpreter']> => ({
  files,
  ...(note !== undefined && { note }),
});

function functionOf({ code_interpreter }: CodeCall): { name: string; arguments: string } {
  return { name: CODE_INTERPRETER, arguments: code_interpreter.arguments };
}

function required(call: CodeCall): RequiredFunctionCall {
  return { id: call.id, type: 'function', function: functionOf(call) };
}
