/** The frames of calls, for the encoder of the Responses API: of the calls of one step at a time. */
import { calledFunction, type StepCall } from '../../runs/calls/kinds.ts';
import type { RunEvent } from '../../runs/event.ts';
import { callsOf } from '../../runs/parts.ts';
import type { RunStep } from '../../runs/thread.ts';
import { ARGUMENTS, argumentsOf, beginningsOf, endingsOf } from './call-events.ts';
import { callItem, type ItemStatus, type OutputItem, type View } from './output.ts';

interface OpenCall {
  readonly id: string;
  readonly index: number;
  /** How much of its arguments was told. */
  told: number;
  isDone: boolean;
}

/** What the encoder does for them. */
interface Telling {
  emit(type: string, data: Readonly<Record<string, unknown>>): string;
  nextIndex(): number;
  /** The item is part of the output. */
  keep(item: OutputItem): void;
}

export class CallFrames {
  readonly #telling: Telling;
  #calls: OpenCall[] = [];
  /** The questions of this step that were asked, by their ids. */
  #asked = new Set<string>();

  constructor(telling: Telling) {
    this.#telling = telling;
  }

  /** Another step begins. */
  begin(): void {
    this.#calls = [];
    this.#asked = new Set();
  }

  hear(view: View, step: RunStep, event: Extract<RunEvent, { type: `tool.${string}` }>): string {
    const call = callsOf(step)[event.index];
    // A question is asked when it is whole.
    if (call === undefined || call.type === 'approval') return '';
    if (event.type === 'tool.called') return this.#opened(view, step.id, event.index, call);
    const open = this.#calls[event.index];
    if (open === undefined || open.isDone) return '';
    if (event.type === 'tool.delta') return this.#grown(view, step.id, event.index, call);
    return event.type === 'tool.answered' ? this.#closed(view, step.id, event.index, call, 'completed') : '';
  }

  /** Ends the calls of a step that are still open. */
  close(view: View, step: RunStep, status: ItemStatus): string {
    return callsOf(step)
      .map((call, index) => this.#closed(view, step.id, index, call, status))
      .join('');
  }

  #opened(view: View, stepId: string, index: number, call: StepCall): string {
    const item = callItem(view, stepId, index, call, 'in_progress');
    const open: OpenCall = { id: item.id, index: this.#telling.nextIndex(), told: 0, isDone: false };
    this.#calls[index] = open;
    const place = { item_id: open.id, output_index: open.index };
    return (
      this.#telling.emit('response.output_item.added', { output_index: open.index, item }) +
      beginningsOf(item.type)
        .map((name) => this.#telling.emit(name, place))
        .join('')
    );
  }

  /** Tells what the call has grown by. */
  #grown(view: View, stepId: string, index: number, call: StepCall): string {
    const open = this.#calls[index];
    const { type } = callItem(view, stepId, index, call, 'in_progress');
    const [name] = ARGUMENTS[type] ?? [];
    if (open === undefined || name === undefined) return '';
    const text = argumentsOf(call);
    const delta = text.slice(open.told);
    open.told = text.length;
    return delta === ''
      ? ''
      : this.#telling.emit(`${name}.delta`, { item_id: open.id, output_index: open.index, delta });
  }

  #closed(view: View, stepId: string, index: number, call: StepCall, status: ItemStatus): string {
    if (call.type === 'approval') return status === 'completed' ? this.#asks(view, stepId, index, call) : '';
    const open = this.#calls[index];
    if (open === undefined || open.isDone) return '';
    let frames = this.#grown(view, stepId, index, call);
    open.isDone = true;
    const item = callItem(view, stepId, index, call, status);
    if (status === 'completed') this.#telling.keep(item);
    const place = { item_id: open.id, output_index: open.index };
    const [name, field] = ARGUMENTS[item.type] ?? [];
    if (name !== undefined && field !== undefined) {
      const named = item.type === 'function_call' ? { name: calledFunction(call).name } : {};
      frames += this.#telling.emit(`${name}.done`, { ...place, ...named, [field]: argumentsOf(call) });
    }
    const endings = status === 'completed' ? endingsOf(item.type, item['error'] != null) : [];
    for (const ending of endings) frames += this.#telling.emit(ending, place);
    return frames + this.#telling.emit('response.output_item.done', { output_index: open.index, item });
  }

  /** Asks whether a call may be made. */
  #asks(view: View, stepId: string, index: number, call: StepCall): string {
    const item = callItem(view, stepId, index, call, 'completed');
    if (this.#asked.has(item.id)) return '';
    this.#asked.add(item.id);
    const place = this.#telling.nextIndex();
    this.#telling.keep(item);
    return (
      this.#telling.emit('response.output_item.added', { output_index: place, item }) +
      this.#telling.emit('response.output_item.done', { output_index: place, item })
    );
  }
}
