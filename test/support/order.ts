/**
 * Checks a run's stream frame by frame, as the strictest accumulators of the SDKs demand: everything that opens closes
 * once and in the right order, the deltas add up to the final object, and nothing follows the end.
 */
import { z } from 'zod';
import type { Frame } from './wire.ts';

const partSchema = z.looseObject({
  id: z.string().min(1),
  content: z.array(z.looseObject({ text: z.looseObject({ value: z.string() }) })).optional(),
  delta: z
    .looseObject({
      content: z.array(z.looseObject({ text: z.looseObject({ value: z.string() }) })).optional(),
    })
    .optional(),
});

/** Events that end a stream, but for `error`. */
const LAST = /^thread\.run\.(?:requires_action|completed|incomplete|failed|cancelled|expired)$/;

/** Everything that is wrong with a whole stream; the list must be empty for every stream. */
export function problemsOf(frames: readonly Frame[]): readonly string[] {
  const order = new Order();
  for (const frame of frames) order.hear(frame);
  const [last, done] = frames.slice(-2);
  if (done?.name !== 'done' || done.data !== '[DONE]')
    order.problems.push('the stream does not end with done');
  if (!LAST.test(last?.name ?? '')) order.problems.push(`the stream rests at ${last?.name}`);
  return order.problems;
}

class Order {
  readonly problems: string[] = [];
  readonly #seen = new Set<string>();
  #message: { readonly id: string; text: string } | null = null;
  #step: string | null = null;

  hear({ id: lineId, name, data }: Frame): void {
    const wrong = (why: string): void => void this.problems.push(`${name}: ${why}`);
    if (lineId !== null) wrong('has an id line');
    if (name === 'done') return;
    const part = partSchema.parse(data);
    if ('error' in part) wrong('has a key "error"');
    const [, kind, verb = ''] = /^thread\.(message|run\.step|run)\.(\w+)$/.exec(name) ?? [];
    if (kind === 'message') this.#hearMessage(verb, part, wrong);
    if (kind === 'run.step') this.#hearStep(verb, part.id, wrong);
    if (kind === 'run' && LAST.test(name)) {
      if (this.#message !== null) wrong('a message is open');
      if (this.#step !== null && verb !== 'requires_action') wrong('a step is open');
    }
  }

  #hearMessage(verb: string, part: z.infer<typeof partSchema>, wrong: (why: string) => void): void {
    if (verb === 'created') {
      if (this.#message !== null) wrong('another message is open');
      if (this.#step === null) wrong('no step is open');
      if (this.#seen.has(part.id)) wrong('was created before');
      this.#seen.add(part.id);
      this.#message = { id: part.id, text: '' };
      return;
    }
    if (this.#message?.id !== part.id) return wrong('is about a message that is not open');
    for (const { text } of part.delta?.content ?? []) this.#message.text += text.value;
    if (verb !== 'completed' && verb !== 'incomplete') return;
    const kept = part.content?.map(({ text }) => text.value).join('');
    if (kept !== this.#message.text) wrong(`keeps "${kept}", but "${this.#message.text}" was said`);
    if (part.content?.length === 0) wrong('has no part');
    this.#message = null;
  }

  #hearStep(verb: string, id: string, wrong: (why: string) => void): void {
    if (verb === 'created') {
      if (this.#step !== null) wrong('another step is open');
      if (this.#seen.has(id)) wrong('was created before');
      this.#seen.add(id);
      this.#step = id;
      return;
    }
    // A stream that begins with a submission begins with the end of the answered step.
    const answered = this.#step === null && !this.#seen.has(id) && verb === 'completed';
    if (!answered && this.#step !== id) return wrong('is about a step that is not open');
    this.#seen.add(id);
    if (verb === 'in_progress' || verb === 'delta') return;
    if (this.#message !== null) wrong('its message is open');
    this.#step = null;
  }
}
