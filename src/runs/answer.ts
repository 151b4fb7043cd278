/** Answers the calls that the worker runs itself: of the server's own tools, and of the hosted ones. Pure: both are handed in. */
import { calledFunction, type StepCall } from './calls/kinds.ts';
import type { RunEvent } from './event.ts';
import { isHosted, nextSearch, resourcesOf, type RunHosted } from './hosted.ts';
import { ModelError } from './model.ts';
import { outputText } from './output-text.ts';
import { remoteTool, type RunRemote } from './remote.ts';
import type { ThreadItem } from './thread.ts';
import type { RunTool, ToolCall } from './tool.ts';
import { NO_MORE_CALLS, toolCallsLeft } from './tool-limit.ts';
import type { Turn } from './turn.ts';

export interface Answering {
  /** Runs the worker's own tools. */
  readonly runTool: RunTool;
  /** Runs the hosted tools. */
  readonly runHosted: RunHosted;
  /** Runs tools of the servers that came with the request. */
  readonly runRemote: RunRemote;
  /** The sensitive variables among the sealed secrets of a run. */
  readonly secretsIn: (sealed: string) => Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * Runs the worker's own calls, all at once, and yields what they put out and answer as it comes.
 * @param items what the model sees of the thread
 */
export async function* answer(
  turn: Turn,
  items: readonly ThreadItem[],
  { runTool, runHosted, runRemote, secretsIn, signal }: Answering,
): AsyncGenerator<readonly RunEvent[], void> {
  const { run, origin } = turn.state;
  const firstSearch = nextSearch(items);
  const left = toolCallsLeft(turn.state, items);
  const replies = turn.ownCalls().map(({ index, call }, count) => {
    if (count >= left) return refused(index);
    const asked: ToolCall = {
      project: origin.project,
      runId: run.id,
      threadId: run.thread_id,
      assistantId: run.assistant_id,
      callId: call.id,
      extras: origin.context,
      secrets: origin.sealed === null ? {} : secretsIn(origin.sealed),
    };
    return isHosted(call)
      ? hosted(
          index,
          runHosted(
            { call, number: firstSearch + index, run, resources: resourcesOf(origin), asked },
            signal,
          ),
        )
      : plain(index, call, asked);
  });
  for await (const event of asTheyCome(replies)) {
    signal.throwIfAborted();
    if (event instanceof ModelError) {
      yield turn.fail(event);
      return;
    }
    yield turn.say([event]);
  }
  yield turn.answered();

  async function* plain(
    index: number,
    call: StepCall,
    asked: ToolCall,
  ): AsyncGenerator<RunEvent | ModelError, void> {
    const { name, arguments: text } = calledFunction(call);
    const output = turn.isDeclared(name) ? await made(name, text, asked) : turn.noSuchTool(name);
    yield { type: 'tool.answered', index, output: outputText(output) };
  }

  async function made(name: string, text: string, asked: ToolCall): Promise<unknown> {
    const remote = remoteTool(origin, name);
    if (remote === null || origin.sealed === null) return runTool(name, text, asked, signal);
    return runRemote({ ...remote, written: text, asked, sealed: origin.sealed }, signal);
  }
}

async function* refused(index: number): AsyncGenerator<RunEvent | ModelError, void> {
  yield { type: 'tool.answered', index, output: outputText(NO_MORE_CALLS) };
}

async function* hosted(
  index: number,
  replies: ReturnType<RunHosted>,
): AsyncGenerator<RunEvent | ModelError, void> {
  for await (const reply of replies) {
    switch (reply.type) {
      case 'output':
        yield { type: 'tool.output', index, output: reply.output };
        break;
      case 'answer':
        yield { type: 'tool.answered', index, output: '', answer: reply.answer };
        return;
      case 'refusal':
        yield { type: 'tool.answered', index, output: outputText(reply.text) };
        return;
      case 'failure':
        yield new ModelError('server_error', reply.message);
        return;
    }
  }
  yield { type: 'tool.answered', index, output: 'The tool ended without an answer.' };
}

/** What several generators yield, each as it comes. Those that are left when the reader stops are ended. */
async function* asTheyCome<T>(all: readonly AsyncGenerator<T, void>[]): AsyncGenerator<T, void> {
  const next = async (one: AsyncGenerator<T, void>) => ({ one, result: await one.next() });
  const waiting = new Map(all.map((one) => [one, next(one)]));
  try {
    while (waiting.size > 0) {
      const { one, result } = await Promise.race(waiting.values());
      if (result.done === true) waiting.delete(one);
      else {
        yield result.value;
        waiting.set(one, next(one));
      }
    }
  } finally {
    for (const [one, coming] of waiting) {
      // Nobody waits for it any more.
      coming.catch(() => {});
      void one.return().catch(() => {});
    }
  }
}
