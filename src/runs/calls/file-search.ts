/**
 * Calls of `file_search`: the model asks in its own words, the worker searches the vector stores of the run, and the model
 * reads what was found under headings that it can cite ({@link citationOf}). A step keeps the texts that were found, and shows
 * them only to who asks for them.
 */
import type { FileSearchTool, FunctionTool, RankingOptions, RequiredFunctionCall } from '../thread.ts';
import type { CallKind, HostedAnswer } from './kind.ts';

/** A piece of a file that was found; `score` is between 0 and 1. */
export interface FileResult {
  readonly file_id: string;
  readonly file_name: string;
  readonly score: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly content: readonly { readonly type: 'text'; readonly text: string }[];
}

/** What a search has found. `number` tells the searches that a model sees apart. */
export interface FileSearchAnswer {
  readonly type: 'found';
  readonly number: number;
  readonly results: readonly FileResult[];
}

/** A call as a step keeps it. `results` is null until there are some, or why there are none. */
export interface FileSearchCall {
  readonly id: string;
  readonly type: 'file_search';
  readonly file_search: {
    /** JSON, as the model wrote it. */
    readonly arguments: string;
    readonly ranking_options: RankingOptions;
    readonly number: number;
    readonly results: readonly FileResult[] | null;
    readonly error?: string;
  };
}

/** The function that offers the search to models. */
const FILE_SEARCH = 'file_search';

/** What a search uses that says nothing else. The name of the ranker is the hosted API's. */
export const DEFAULT_RANKING: RankingOptions = { ranker: 'default_2024_08_21', score_threshold: 0 };

const OFFER: FunctionTool = {
  type: 'function',
  function: {
    name: FILE_SEARCH,
    description:
      'Searches the files that belong to this conversation. Ask several short queries in the language of the files, and ask again in other words when nothing fits. Each result has a heading such as [1:0] name. When an answer uses a result, cite it right behind the sentence as 【1:0†name】, with the numbers and the name of its heading.',
    parameters: {
      type: 'object',
      properties: {
        queries: {
          type: 'array',
          items: { type: 'string' },
          description: 'What to look for, 1 to 5 queries.',
        },
      },
      required: ['queries'],
    },
    strict: false,
  },
};

export const fileSearches: CallKind<FileSearchCall, FileSearchTool, RequiredFunctionCall> = {
  offers: () => [OFFER],
  demands: (choice) => (choice.type === 'file_search' ? FILE_SEARCH : null),

  begun: (id, _name, tool) => ({
    id,
    type: 'file_search',
    file_search: {
      arguments: '',
      ranking_options: tool?.file_search.ranking_options ?? DEFAULT_RANKING,
      number: 0,
      results: null,
    },
  }),
  grown: (call, text) => ({
    ...call,
    file_search: { ...call.file_search, arguments: call.file_search.arguments + text },
  }),
  put: (call) => call,
  answered: (call, output, answer) => ({
    ...call,
    file_search: { ...call.file_search, ...found(output, answer) },
  }),
  isOpen: (call) => call.file_search.results === null,

  answeredBy: () => 'worker',
  calledFunction: (call) => functionOf(call),
  required: (call) => required(call),

  asked: (call) => required(call),
  output: ({ file_search: { number, results, error } }) =>
    error ??
    (results?.length ? results.map(written(number)).join('\n\n') : 'Nothing was found. Ask in other words.'),

  shown: ({ id, type, file_search: { ranking_options, results } }, { withContents }) => ({
    id,
    type,
    file_search: {
      ranking_options,
      results: (results ?? []).map(({ content, ...result }) =>
        withContents ? { ...result, content } : result,
      ),
    },
  }),
  growthDelta: () => null,
  outputDelta: () => null,
  // The completed step shows the results; the hosted API sent one delta, with none.
  answerDelta: () => null,
};

/** How an answer cites a result: the place of the search, and that of the result in it. */
export function citationOf(number: number, index: number): string {
  return `${number}:${index}`;
}

const written =
  (number: number) =>
  ({ file_name, content }: FileResult, index: number): string =>
    `[${citationOf(number, index)}] ${file_name}\n${content.map(({ text }) => text).join('\n')}`;

/** Without an answer there is only a text for the model: why it was not searched. */
function found(
  error: string,
  answer: HostedAnswer | undefined,
): Pick<FileSearchCall['file_search'], 'number' | 'results' | 'error'> {
  return answer?.type === 'found'
    ? { number: answer.number, results: answer.results }
    : { number: 0, results: [], error };
}

function functionOf(call: FileSearchCall | RequiredFunctionCall): { name: string; arguments: string } {
  return call.type === 'function'
    ? call.function
    : { name: FILE_SEARCH, arguments: call.file_search.arguments };
}

function required({ id, file_search }: FileSearchCall): RequiredFunctionCall {
  return { id, type: 'function', function: { name: FILE_SEARCH, arguments: file_search.arguments } };
}
