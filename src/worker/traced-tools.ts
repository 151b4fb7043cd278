/** The tools, with a span of the run's trace for each call. */
import { calledFunction } from '../runs/calls/kinds.ts';
import type { HostedReply } from '../runs/hosted.ts';
import type { DriveOptions } from './drive.ts';
import type { CallTrace, RunTraces } from './run-traces.ts';

type Tools = Pick<DriveOptions, 'runTool' | 'runRemote' | 'hosted'>;

export function tracedTools({ runTool, runRemote, hosted }: Tools, traces: Pick<RunTraces, 'call'>): Tools {
  return {
    runTool: async (name, written, call, signal) =>
      traced(traces.call(call.runId, 'function', name, call.callId), runTool(name, written, call, signal)),
    runRemote: async (request, signal) => {
      const { server, tool, asked } = request;
      const trace = traces.call(asked.runId, 'mcp', `${server}.${tool}`, asked.callId);
      return traced(trace, runRemote(request, signal));
    },
    hosted: {
      ended: async (runId) => hosted.ended(runId),
      run: (request, signal) => {
        const { name } = calledFunction(request.call);
        const trace = traces.call(request.run.id, 'hosted', name, request.call.id);
        return tracedReplies(trace, hosted.run(request, signal));
      },
    },
  };
}

async function traced<T>(trace: CallTrace | null, call: Promise<T>): Promise<T> {
  try {
    const value = await call;
    trace?.answered(value);
    return value;
  } finally {
    trace?.cancelled();
  }
}

async function* tracedReplies(
  trace: CallTrace | null,
  replies: AsyncIterable<HostedReply>,
): AsyncGenerator<HostedReply, void> {
  try {
    for await (const reply of replies) {
      if (reply.type === 'refusal' || reply.type === 'failure') trace?.failed(reply.type);
      if (reply.type === 'answer') trace?.answered(null);
      yield reply;
    }
  } finally {
    trace?.cancelled();
  }
}
