/**
 * Summaries of what was said, which stand for it in later prompts. The model writes one in a run like any other; nothing that is
 * said in it joins what it is about.
 */
import type { WireItem } from '../../runs/items.ts';
import type { Assistant } from '../../runs/thread.ts';
import type { StoredRun } from '../../store/runs.ts';
import { begin, newRun } from '../../turns/begin.ts';
import type { Caller } from '../../turns/caller.ts';
import type { Services } from '../http/services.ts';
import { toLine } from './input.ts';
import type { OutputItem } from './output.ts';
import type { ResponsePlace } from './place.ts';
import type { ResponseBody } from './request.ts';
import { runRequest, toolsOf } from './run-request.ts';
import { unsealer } from './sealing.ts';
import { checkSizes } from './sizes.ts';

const INSTRUCTIONS = `You are compacting a conversation so that it can go on in less space. Write a summary that takes its place: the
model that answers next sees the summary and nothing else of what came before.

Keep what later answers depend on: who the user is and what they want; facts, names, numbers, dates and identifiers exactly as they
were given; what was decided and why; what tools returned, as far as it still matters; what is done and what is still open; and how
the user wants to be answered. Leave out greetings and repetitions. Write in the language of the conversation, as plain statements,
and do not answer or continue it.`;
const ASK = 'Write the summary of the conversation above now.';

/** What a summary is of, and who is asked for it. */
export interface AskedSummary {
  readonly given: ResponseBody;
  readonly agent: Assistant | null;
  /** Behind what is said there. */
  readonly place: ResponsePlace;
  /** Said after that. */
  readonly items: readonly WireItem[];
}

/** Begins the run that writes the summary. */
export async function beginSummary(
  services: Services,
  caller: Caller,
  { given, agent, place, items }: AskedSummary,
): Promise<StoredRun> {
  const making = { now: services.now(), unseal: unsealer(services, caller.project) };
  const said = [...items, { type: 'message', role: 'user', content: ASK }];
  const line = said.map((item) => toLine(making, caller, place.threadId, item));
  checkSizes(services, line, 'input');
  const asked: ResponseBody = {
    ...given,
    instructions: INSTRUCTIONS,
    tools: null,
    tool_choice: null,
    text: null,
    metadata: undefined,
    prompt: null,
    truncation: 'auto',
    background: false,
    include: null,
  };
  const asker = agent && plain(agent);
  const request = runRequest(services, caller, asked, {
    agent: asker,
    read: toolsOf(services, asked, asker, []),
    servers: [],
    model: agent?.model ?? given.model ?? '',
    place,
    inputs: line.length,
    isKept: false,
  });
  return begin(
    services,
    caller,
    {
      ...newRun(services, caller, place, request),
      thread: null,
      messages: line,
      input: [],
      ...(place.base !== undefined && { base: place.base }),
    },
    {
      // Nothing holds a thread of its own.
      whenBusy: async () => {},
      answer: (stored) => stored,
      comesBack: caller.idempotencyKey !== null,
    },
  );
}

/** The words of a summary. */
export function summaryIn(output: readonly OutputItem[]): string {
  return output
    .flatMap(({ content }) => textsIn(content))
    .join('\n')
    .trim();
}

/** The assistant as a model: which one, and where it is. */
function plain(agent: Assistant): Assistant {
  const { auto_tools: _, ...metadata } = agent.metadata;
  return { ...agent, instructions: null, tools: [], response_format: 'auto', metadata };
}

function textsIn(content: unknown): readonly string[] {
  const parts: readonly unknown[] = Array.isArray(content) ? content : [];
  return parts.flatMap((part) =>
    typeof part === 'object' &&
    part !== null &&
    'type' in part &&
    part.type === 'output_text' &&
    'text' in part
      ? [String(part.text)]
      : [],
  );
}
