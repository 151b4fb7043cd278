/**
 * The frames of the Assistants API: a run's events as the hosted API streamed them. The encoder reads the whole log,
 * because a frame depends on what came before, and yields nothing up to the client's cursor. Events keep the hosted
 * API's order, and:
 *
 *   D1  at `requires_action` the step of tool calls stays open and the stream ends
 *   D2  a call's id and name come once, in its first delta; `index` and `type` come in every delta
 *   D3  the first delta of a message has `annotations`, even if `[]`; later deltas have the key only when there are
 *       annotations
 *   D4  no object has a top-level key `error`; no frame has an `id:` line
 */
import { answerDelta, growthDelta, outputDelta, shownCall, type StepCall } from '../../runs/calls/kinds.ts';
import type { CallView } from '../../runs/calls/kind.ts';
import type { RunEvent } from '../../runs/event.ts';
import { callsOf } from '../../runs/parts.ts';
import { apply, isTerminal, type Applied, type RunState } from '../../runs/run.ts';
import { PLAIN_VIEW, shownStep } from '../../runs/step-view.ts';
import type { Message, Metadata, Run, Thread } from '../../runs/thread.ts';
import { LogGone, type LoggedEvent } from '../../store/follow.ts';
import type { Passing } from '../../store/passing.ts';
import { encoded, type Texts } from '../http/encode.ts';

const DONE = 'event: done\ndata: [DONE]\n\n';
/** An event of the wire: its name and its object. */
interface WireEvent {
  readonly name: string;
  readonly data: object;
}

/** Encodes one run's log, from its first event on. */
class AssistantsEncoder {
  readonly #view: CallView;
  readonly #withThoughts: boolean;
  #state: RunState | null = null;
  #messageHasDelta = false;
  /** How many annotations of the message were sent. */
  #annotations = 0;
  /** How many pictures stand before its words. */
  #pictures = 0;
  /** The fragments of the open message that the state lacks, as one; null when there are none. */
  #unfolded: MessageDelta | null = null;
  #blocked = false;

  /** @param withThoughts whether what the model thinks is told, by events that the hosted API did not have */
  constructor(view: CallView, withThoughts = false) {
    this.#view = view;
    this.#withThoughts = withThoughts;
  }

  /** The wire's events for the next event of the log. */
  encode(event: RunEvent): readonly WireEvent[] {
    const { message = null } = this.#state ?? {};
    if (event.type === 'message.delta' && message !== null) return [this.#messageDelta(message.id, event)];
    if (event.type === 'thought.delta') return this.#thoughtDelta(event);
    const applied = apply(this.#folded(), event);
    this.#state = applied.state;
    // Set by the event, not by the status: the answered step completes while the run's status still says that it waits,
    // and a new stream begins with that event.
    this.#blocked = event.type === 'run.blocked';
    return this.#frames(event, applied);
  }

  /** The state with all fragments in it: most events are fragments, and only those that follow show the whole text. */
  #folded(): RunState | null {
    const [state, fragment] = [this.#state, this.#unfolded];
    this.#unfolded = null;
    return state === null || fragment === null ? state : apply(state, fragment).state;
  }

  /** The run has ended: its log has no more events. */
  get ended(): boolean {
    return this.#state !== null && isTerminal(this.#state.run);
  }

  /** Whether the event just encoded is the stream's last: the run has ended, or has begun to wait for its client (D1). */
  get atRest(): boolean {
    return this.ended || this.#blocked;
  }

  /** Exhaustive on purpose: the compiler demands a decision for every new event. */
  #frames(event: RunEvent, { state, subject }: Applied): readonly WireEvent[] {
    switch (event.type) {
      case 'run.queued':
        return [
          { name: 'thread.run.created', data: subject },
          { name: 'thread.run.queued', data: subject },
        ];
      case 'run.started':
        return [{ name: 'thread.run.in_progress', data: subject }];
      case 'run.released':
      case 'run.resumed':
        return [{ name: 'thread.run.queued', data: subject }];
      case 'run.blocked':
        return [{ name: 'thread.run.requires_action', data: subject }];
      case 'run.cancelling':
      case 'run.cancelled':
      case 'run.completed':
      case 'run.incomplete':
      case 'run.failed':
      case 'run.expired':
        return [{ name: `thread.${event.type}`, data: subject }];
      case 'step.created':
        return [
          { name: 'thread.run.step.created', data: this.#shown(subject) },
          { name: 'thread.run.step.in_progress', data: this.#shown(subject) },
        ];
      case 'step.completed':
      case 'step.left':
      case 'step.failed':
      case 'step.cancelled':
      case 'step.expired':
        return [{ name: `thread.run.${event.type}`, data: this.#shown(subject) }];
      case 'message.created':
        this.#messageHasDelta = false;
        this.#annotations = 0;
        this.#pictures = event.images?.length ?? 0;
        return [
          { name: 'thread.message.created', data: withoutContent(subject) },
          { name: 'thread.message.in_progress', data: withoutContent(subject) },
          ...pictureDeltas(event),
        ];
      case 'message.delta':
        // Told already, without folding it.
        return [];
      case 'run.steered':
        // Told by whoever can look the messages up.
        return [];
      case 'thought.delta':
      case 'thought.dropped':
      case 'asides.told':
        // The hosted API never showed what a model thinks or says aside, and strict clients refuse unknown events.
        return [];
      case 'message.completed':
      case 'message.incomplete':
        return [{ name: `thread.${event.type}`, data: subject }];
      case 'tool.called': {
        const call = callAt(state, event.index);
        return callDelta(state, call && { index: event.index, ...shownCall(call, this.#view) });
      }
      case 'tool.delta': {
        const call = callAt(state, event.index);
        return callDelta(state, call && growthDelta(call, event.index, event.arguments));
      }
      case 'tool.output': {
        const call = callAt(state, event.index);
        return callDelta(state, call && outputDelta(call, event.index, event.output));
      }
      case 'step.dropped':
        // The wire has no event that reopens a closed step; the run's lists of steps and messages show the change.
        return [];
      case 'tool.answered': {
        const call = callAt(state, event.index);
        return callDelta(state, call && answerDelta(call, event.index, event.output));
      }
    }
  }

  #shown(subject: Applied['subject']): object {
    return subject.object === 'thread.run.step' ? shownStep(subject, this.#view) : subject;
  }

  #thoughtDelta({ text }: ThoughtDelta): readonly WireEvent[] {
    if (!this.#withThoughts || text === '') return [];
    const data = { object: 'thread.run.thought.delta', run_id: this.#state?.run.id, delta: { text } };
    return [{ name: 'thread.run.thought.delta', data }];
  }

  #messageDelta(id: string, event: MessageDelta): WireEvent {
    const { text: value, annotations = [] } = event;
    this.#unfolded = this.#unfolded === null ? event : together(this.#unfolded, event);
    const marks = annotations.map((mark, place) => ({ index: this.#annotations + place, ...mark }));
    const isBare = this.#messageHasDelta && marks.length === 0;
    const text = isBare ? { value } : { value, annotations: marks };
    this.#messageHasDelta = true;
    this.#annotations += marks.length;
    const delta = { content: [{ index: this.#pictures, type: 'text', text }] };
    return { name: 'thread.message.delta', data: { id, object: 'thread.message.delta', delta } };
  }
}

type MessageCreated = Extract<RunEvent, { type: 'message.created' }>;

/** Clients add what comes to what a message has, so it begins with nothing. */
const withoutContent = (subject: Applied['subject']): object => ({ ...subject, content: [] });

/** One delta for each picture, as the hosted API sent them. */
function pictureDeltas({ message_id: id, images = [] }: MessageCreated): readonly WireEvent[] {
  return images.map((file_id, index) => {
    const delta = { content: [{ index, type: 'image_file', image_file: { file_id, detail: 'auto' } }] };
    return { name: 'thread.message.delta', data: { id, object: 'thread.message.delta', delta } };
  });
}

type MessageDelta = Extract<RunEvent, { type: 'message.delta' }>;
type ThoughtDelta = Extract<RunEvent, { type: 'thought.delta' }>;

function together(first: MessageDelta, { text, annotations: more = [] }: MessageDelta): MessageDelta {
  const { annotations = [] } = first;
  const marks = more.length === 0 ? annotations : [...annotations, ...more];
  return { type: 'message.delta', text: first.text + text, annotations: marks };
}

function callAt({ step }: RunState, index: number): StepCall | null {
  return (step && callsOf(step)[index]) ?? null;
}

/** @param call the delta of the call; null for none */
function callDelta({ step }: RunState, call: object | null): readonly WireEvent[] {
  if (call === null) return [];
  const delta = { step_details: { type: 'tool_calls', tool_calls: [call] } };
  return [{ name: 'thread.run.step.delta', data: { id: step?.id, object: 'thread.run.step.delta', delta } }];
}

/** Looks up what has joined a thread; null for what is no message, or is gone. */
type FindMessage = (id: string) => Promise<Message | null>;

type SteeredEvent = Extract<RunEvent, { type: 'run.steered' }>;

/** Messages that clients sent meanwhile, where they came in: whole from the beginning, because no words follow. */
async function joined({ messages }: SteeredEvent, find: FindMessage): Promise<readonly WireEvent[]> {
  const found = await Promise.all(messages.map(find));
  return found
    .filter((message) => message !== null)
    .flatMap((message) => [
      { name: 'thread.message.created', data: message },
      { name: 'thread.message.completed', data: message },
    ]);
}

interface StreamOptions {
  /** Sequence number of the last event that is not sent (again); 0 sends everything. */
  readonly after: number;
  /** Sent first, for a thread that was created together with its run. */
  readonly thread: Thread | null;
  /** The metadata that a client gave the run after its creation; null when there is none. */
  readonly labels: () => Promise<Metadata | null>;
  readonly message: FindMessage;
  /** How calls are shown; without it, as most clients want them. */
  readonly view?: CallView;
}

/** The frames of a run's stream, from the client's cursor to where the run rests. */
export function assistantsStream(
  log: Passing<readonly LoggedEvent[]>,
  { after, thread, labels, message, view = PLAIN_VIEW }: StreamOptions,
): Texts {
  const events = new AssistantsEncoder(view);
  const encoder = {
    isOver: false,
    encode({ seq, event }: LoggedEvent): string | Promise<string> {
      const wire = events.encode(event);
      if (seq <= after) return '';
      if (event.type === 'run.steered') return joined(event, message).then(framed);
      this.isOver = events.atRest;
      return this.isOver ? lastFrames(wire, labels) : framed(wire);
    },
  };
  return encoded(log, encoder, thread === null ? '' : frame({ name: 'thread.created', data: thread }));
}

/** Clients keep the last snapshot of the run, so it gets the metadata that was set meanwhile. */
async function lastFrames(
  events: readonly WireEvent[],
  labels: () => Promise<Metadata | null>,
): Promise<string> {
  const metadata = await labels();
  const labelled = (data: object): object => (metadata === null ? data : { ...data, metadata });
  return events.map(({ name, data }) => frame({ name, data: labelled(data) })).join('') + DONE;
}

interface WatchedRun {
  /** Sequence number of the last event that is not sent (again); 0 sends everything. */
  readonly after: number;
  /** As it is stored: for a run whose log has expired, only its end can be sent. */
  readonly run: Run;
  readonly message: FindMessage;
  /** Whether what the model thinks is told too. */
  readonly withThoughts?: boolean;
}

/**
 * The frames of our own endpoint for watching a run: the same events with the log's sequence number as `id:`, through
 * every `requires_action` until the run has ended. When one event has several frames, only the last has its id, so a
 * client that resumes never loses the rest of an event.
 */
export async function* watchStream(
  log: AsyncIterable<readonly LoggedEvent[]>,
  { after, run, message, withThoughts = false }: WatchedRun,
): AsyncGenerator<string, void> {
  const events = new AssistantsEncoder(PLAIN_VIEW, withThoughts);
  const encoder = {
    isOver: false,
    encode({ seq, event }: LoggedEvent): string | Promise<string> {
      const wire = events.encode(event);
      this.isOver = events.ended;
      if (seq <= after) return this.isOver ? DONE : '';
      if (event.type === 'run.steered') return joined(event, message).then((told) => framed(told, seq));
      return framed(wire, seq) + (this.isOver ? DONE : '');
    },
  };
  try {
    yield* encoded(log, encoder);
  } catch (error) {
    if (!(error instanceof LogGone) || error.why !== 'expired') throw error;
    yield frame({ name: `thread.run.${run.status}`, data: run }) + DONE;
  }
}

/** @param seq the id of the last frame; null for none */
function framed(events: readonly WireEvent[], seq: number | null = null): string {
  return events.map((each, index) => frame(each, index === events.length - 1 ? seq : null)).join('');
}

function frame({ name, data }: WireEvent, id: number | null = null): string {
  return `${id === null ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
