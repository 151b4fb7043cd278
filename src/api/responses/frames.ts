/**
 * The frames of the Responses API: a run's events as that API streams them. The encoder reads the whole log, because numbers
 * and indices count from its beginning, and yields nothing up to the client's cursor. So a stream that is read again, at
 * another process or later, has the same numbers.
 *
 *   E1  every frame has a number, one more than the last; the first is `response.created`
 *   E2  each item is added before anything is said of it, and done once; indices count up
 *   E3  the last frame is `response.completed`, `response.incomplete` or `response.failed`, and says what was done
 *   E4  an item that a lost worker left half said ends as incomplete, and is not in the response
 */
import type { RunEvent } from '../../runs/event.ts';
import { apply, isTerminal, type Applied, type RunState } from '../../runs/run.ts';
import type { LoggedEvent } from '../../store/follow.ts';
import type { Encoder } from '../http/encode.ts';
import { CallFrames } from './call-frames.ts';
import { deltaHead, FrameWriter, sseFrame, type FrameForm } from './frame-writer.ts';
import {
  annotationOf,
  messageItem,
  AGAIN,
  reasoningId,
  openingItems,
  reasoningItem,
  textPart,
  type ItemStatus,
  type OutputItem,
  type View,
} from './output.ts';
import { itemId } from './ids.ts';
import { endOf, responseObject, type ResponseStatus } from './response.ts';

/** The text that is being said: of a message, or of a thought. */
interface OpenText {
  readonly type: 'message' | 'reasoning';
  readonly id: string;
  readonly index: number;
  text: string;
  readonly annotations: object[];
  readonly logprobs: unknown[];
  /** The fields of its deltas before their words. */
  readonly head: string;
}

type Sealer = ((text: string) => string) | null;

/** Encodes one run's log, from its first event on. */
export class ResponsesEncoder implements Encoder<LoggedEvent> {
  isOver = false;
  /** The run as the log has it so far; null before the first event. */
  state: RunState | null = null;
  /** What was said and done so far, without what is open. */
  readonly output: OutputItem[] = [];
  readonly #writer: FrameWriter;
  readonly #sealer: Sealer;
  #index = 0;
  /** The first index of what the run itself says or does. */
  #silentIndex = 0;
  #steps = 0;
  #open: OpenText | null = null;
  #hasBegun = false;
  /** The place of each item, by its id. */
  readonly #indices = new Map<string, number>();
  readonly #calls = new CallFrames({
    emit: (type, data) => this.#emit(type, data),
    nextIndex: () => this.#nextIndex(),
    keep: (item) => this.output.push(item),
  });

  /**
   * @param startingAfter the number of the last frame that the client has; -1 for none
   * @param sealer seals thoughts for the client; null where it wants none
   */
  constructor(startingAfter: number, sealer: Sealer, form: FrameForm = sseFrame) {
    this.#writer = new FrameWriter(startingAfter, form);
    this.#sealer = sealer;
  }

  /** The response as the log has it so far; null before the first event. */
  get response(): object | null {
    const { state } = this;
    return state && responseObject(state.run, state.origin, this.output);
  }

  /** Whether nothing was said or done so far. */
  get isSilent(): boolean {
    return this.#index === this.#silentIndex;
  }

  encode({ event }: LoggedEvent): string {
    if (event.type === 'message.delta' && this.#open?.type === 'message')
      return this.#said(this.#open, event);
    if (event.type === 'thought.delta') return this.#thought(event.text);
    if (event.type === 'thought.dropped')
      return this.#open?.type === 'reasoning' ? this.#closeText('incomplete', false) : '';
    const applied = apply(this.state, event);
    this.state = applied.state;
    return this.#frames(event, applied);
  }

  #frames(event: RunEvent, { state, subject }: Applied): string {
    switch (event.type) {
      case 'run.queued':
        return this.#created(state);
      case 'run.started':
        return this.#begun();
      case 'step.created':
        this.#steps += 1;
        this.#calls.begin();
        return this.#closeThought();
      case 'message.created':
        return this.#openMessage(event.message_id, state);
      case 'message.delta':
        return '';
      case 'message.completed':
        return this.#closeText('completed', true);
      case 'message.incomplete':
        return this.#closeText('incomplete', !event.dropped);
      case 'step.dropped':
        return this.#dropped(subject.object === 'thread.run.step' ? subject.step_details : null);
      case 'tool.called':
      case 'tool.delta':
      case 'tool.output':
      case 'tool.answered':
        return this.#call(event, state);
      case 'run.blocked':
      case 'step.left':
      case 'step.completed':
        return this.#closeCalls('completed', subject);
      case 'step.failed':
      case 'step.cancelled':
      case 'step.expired':
        return this.#closeCalls('incomplete', subject);
      case 'run.completed':
      case 'run.incomplete':
      case 'run.failed':
      case 'run.cancelled':
      case 'run.expired':
        return this.#ended(state);
      case 'thought.delta':
      case 'thought.dropped':
      case 'asides.told':
      case 'run.released':
      case 'run.resumed':
      case 'run.steered':
      case 'run.cancelling':
        return '';
    }
  }

  #created(state: RunState): string {
    const isBackground = state.origin.response?.background === true;
    const status = isBackground ? 'queued' : 'in_progress';
    return (
      this.#lifecycle('response.created', state, status) +
      (isBackground ? this.#lifecycle('response.queued', state, status) : '')
    );
  }

  #begun(): string {
    if (this.#hasBegun || this.state === null) return '';
    this.#hasBegun = true;
    return this.#lifecycle('response.in_progress', this.state, 'in_progress') + this.#opening();
  }

  /** What was made before the run began. */
  #opening(): string {
    const view = this.#view();
    let frames = '';
    for (const item of view === null ? [] : openingItems(view)) {
      const index = this.#nextIndex();
      const place = { item_id: item.id, output_index: index };
      const isList = item.type === 'mcp_list_tools';
      const added = isList ? { ...item, tools: [] } : item;
      frames += this.#emit('response.output_item.added', { output_index: index, item: added });
      if (isList) {
        frames += this.#emit('response.mcp_list_tools.in_progress', place);
        frames += this.#emit('response.mcp_list_tools.completed', place);
      }
      frames += this.#emit('response.output_item.done', { output_index: index, item });
      this.output.push(item);
    }
    this.#silentIndex = this.#index;
    return frames;
  }

  #openMessage(messageId: string, { run }: RunState): string {
    const thought = this.#closeThought();
    const id = itemId('msg', messageId, { threadId: run.thread_id });
    const index = this.#nextIndex();
    this.#open = {
      type: 'message',
      id,
      index,
      text: '',
      annotations: [],
      logprobs: [],
      head: deltaHead('response.output_text.delta', id, index),
    };
    return (
      thought +
      this.#emit('response.output_item.added', {
        output_index: index,
        item: messageItem(id, [], 'in_progress'),
      }) +
      this.#emit('response.content_part.added', { ...placeOf(this.#open), part: textPart('', []) })
    );
  }

  #said(
    open: OpenText,
    { text, annotations = [], logprobs }: Extract<RunEvent, { type: 'message.delta' }>,
  ): string {
    open.text += text;
    const probable: readonly unknown[] = logprobs?.content ?? [];
    open.logprobs.push(...probable);
    let frames = text === '' && annotations.length > 0 ? '' : this.#delta(open, text, probable);
    for (const mark of annotations) {
      const annotation = annotationOf(mark);
      frames += this.#emit('response.output_text.annotation.added', {
        ...placeOf(open),
        annotation_index: open.annotations.length,
        annotation,
      });
      open.annotations.push(annotation);
    }
    return frames;
  }

  /** Written by hand, because there is one for every token. */
  #delta({ head, type }: OpenText, text: string, logprobs: readonly unknown[]): string {
    const said = type === 'message' ? `,"logprobs":${JSON.stringify(logprobs)}` : '';
    const name = type === 'message' ? 'response.output_text.delta' : 'response.reasoning_text.delta';
    return this.#writer.writeText(name, head, text, said);
  }

  #thought(text: string): string {
    const view = this.#view();
    if (view === null || text === '') return '';
    let frames = '';
    if (this.#open === null) {
      const id = this.#newReasoningId(view);
      const index = this.#nextIndex();
      const head = deltaHead('response.reasoning_text.delta', id, index);
      this.#open = { type: 'reasoning', id, index, text: '', annotations: [], logprobs: [], head };
      const item = reasoningItem(view, id, '', 'in_progress');
      frames += this.#emit('response.output_item.added', { output_index: index, item });
      frames += this.#emit('response.content_part.added', {
        ...placeOf(this.#open),
        part: { type: 'reasoning_text', text: '' },
      });
    }
    // Servers that think while they speak have no place for it here.
    if (this.#open.type !== 'reasoning') return frames;
    this.#open.text += text;
    return frames + this.#delta(this.#open, text, []);
  }

  /** A model may be asked again after it had begun to think; what it thinks then has a name of its own. */
  #newReasoningId(view: View): string {
    let number = this.#steps;
    while (this.#indices.has(reasoningId(view, number))) number += AGAIN;
    return reasoningId(view, number);
  }

  #closeThought(): string {
    return this.#open?.type === 'reasoning' ? this.#closeText('completed', true) : '';
  }

  /** Ends the open text. @param isKept whether it stays in the output */
  #closeText(status: ItemStatus, isKept: boolean): string {
    const open = this.#open;
    const view = this.#view();
    if (open === null || view === null) return '';
    this.#open = null;
    const { id, index, text, annotations, logprobs } = open;
    const isMessage = open.type === 'message';
    const part = isMessage ? textPart(text, annotations, logprobs) : { type: 'reasoning_text', text };
    const item = isMessage ? messageItem(id, [part], status) : reasoningItem(view, id, text, status);
    if (isKept) this.output.push(item);
    const name = isMessage ? 'response.output_text.done' : 'response.reasoning_text.done';
    return (
      this.#emit(name, { ...placeOf(open), text, ...(isMessage && { logprobs }) }) +
      this.#emit('response.content_part.done', { ...placeOf(open), part }) +
      this.#emit('response.output_item.done', { output_index: index, item })
    );
  }

  /** Takes words back that came before the calls of a lost worker. */
  #dropped(
    details: { readonly type: string; readonly message_creation?: { readonly message_id: string } } | null,
  ): string {
    const state = this.state;
    if (state === null || details?.message_creation === undefined) return '';
    const id = itemId('msg', details.message_creation.message_id, { threadId: state.run.thread_id });
    const at = this.output.findIndex((item) => item.id === id);
    if (at !== -1) this.output.splice(at, 1);
    return '';
  }

  #call(event: Extract<RunEvent, { type: `tool.${string}` }>, { step }: RunState): string {
    const view = this.#view();
    return view === null || step === null ? '' : this.#calls.hear(view, step, event);
  }

  #closeCalls(status: ItemStatus, subject: Applied['subject']): string {
    const view = this.#view();
    const step = subject.object === 'thread.run.step' ? subject : (this.state?.step ?? null);
    return view === null || step === null ? '' : this.#calls.close(view, step, status);
  }

  #ended(state: RunState): string {
    this.isOver = true;
    const closing = this.#closeThought();
    this.output.sort((a, b) => this.#placeIn(a) - this.#placeIn(b));
    return closing + this.#lifecycle(endOf(state.run), state) + this.#writer.end();
  }

  #placeIn({ id }: OutputItem): number {
    return this.#indices.get(id) ?? 0;
  }

  #lifecycle(type: string, { run, origin }: RunState, status?: ResponseStatus): string {
    const output = isTerminal(run) ? this.output : [];
    return this.#emit(type, { response: responseObject(run, origin, output, status) });
  }

  #emit(type: string, data: Readonly<Record<string, unknown>>): string {
    const { item, output_index: index } = data;
    if (type === 'response.output_item.added' && typeof index === 'number') this.#remember(item, index);
    return this.#writer.write(type, data);
  }

  #remember(item: unknown, index: number): void {
    if (typeof item === 'object' && item !== null && 'id' in item) this.#indices.set(String(item.id), index);
  }

  #nextIndex(): number {
    this.#index += 1;
    return this.#index - 1;
  }

  #view(): View | null {
    const state = this.state;
    return state && { run: state.run, origin: state.origin, seal: this.#sealer };
  }
}

const placeOf = ({ id, index }: Pick<OpenText, 'id' | 'index'>) => ({
  item_id: id,
  output_index: index,
  content_index: 0,
});
