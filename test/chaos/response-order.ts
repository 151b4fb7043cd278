/**
 * Checks the stream of a response event by event, as the strictest accumulators of the SDKs demand: numbers without a gap, every
 * item added and done once, deltas that add up to what is said to be done, and one end, with all that was done.
 */
import { z } from 'zod';

const partSchema = z.looseObject({ type: z.string(), text: z.string().optional() });
const itemSchema = z.looseObject({
  id: z.string().min(1),
  type: z.string(),
  status: z.string().optional(),
  content: z.array(partSchema).optional(),
  arguments: z.string().optional(),
});
const responseSchema = z.looseObject({ id: z.string(), status: z.string(), output: z.array(itemSchema) });
const eventSchema = z.looseObject({
  type: z.string(),
  sequence_number: z.number(),
  response: responseSchema.optional(),
  item: itemSchema.optional(),
  item_id: z.string().optional(),
  output_index: z.number().optional(),
  delta: z.string().optional(),
});

type Event = z.infer<typeof eventSchema>;
type Item = z.infer<typeof itemSchema>;

const END = /^response\.(?:completed|incomplete|failed)$/;
/** Fragments of what an item says in the end. */
const FRAGMENT = /^response\.(?:output_text|function_call_arguments)\.delta$/;

/** Everything that is wrong with a whole stream; the list must be empty for every response. */
export function problemsOfResponse(events: readonly unknown[]): readonly string[] {
  const order = new Order();
  for (const event of events) order.hear(eventSchema.parse(event));
  if (!order.isOver) order.problems.push('the stream has no end');
  return order.problems;
}

class Order {
  readonly problems: string[] = [];
  isOver = false;
  #number = 0;
  #id = '';
  #index = 0;
  /** What the open items have said, by their ids. */
  readonly #open = new Map<string, { readonly index: number; said: string }>();
  readonly #done: Item[] = [];

  hear(event: Event): void {
    const { type, sequence_number: number } = event;
    const wrong = (why: string): void => void this.problems.push(`${number} ${type}: ${why}`);
    if (this.isOver) wrong('comes after the end');
    if (number !== this.#number) wrong(`should be ${this.#number}`);
    if ((type === 'response.created') !== (number === 0)) wrong('the first event is response.created');
    this.#number = number + 1;
    if (event.response !== undefined) this.#hearResponse(type, event.response, wrong);
    else if (type === 'response.output_item.added') this.#added(event, wrong);
    else if (type === 'response.output_item.done') this.#closed(event, wrong);
    else this.#said(event, wrong);
  }

  #hearResponse(type: string, { id, output }: z.infer<typeof responseSchema>, wrong: Wrong): void {
    this.#id ||= id;
    if (id !== this.#id) wrong(`is about ${id}`);
    if (!END.test(type)) return;
    this.isOver = true;
    if (this.#open.size > 0) wrong('items are open');
    const stray = output.filter(({ id: kept }) => !this.#done.some((done) => done.id === kept));
    if (stray.length > 0) wrong(`has items that were never done: ${stray.map((item) => item.id).join()}`);
    const lost = this.#done.filter(
      ({ id: done, status }) => status === 'completed' && !output.some((item) => item.id === done),
    );
    for (const item of lost.filter(({ type: kind }) => kind !== 'message')) wrong(`has lost ${item.id}`);
    for (const item of output)
      if (wordsIn(item) !== wordsIn(this.#done.find((done) => done.id === item.id)))
        wrong(`${item.id} differs`);
  }

  #added({ item, output_index: index }: Event, wrong: Wrong): void {
    if (item === undefined) return wrong('has no item');
    if (index !== this.#index) wrong(`should have index ${this.#index}`);
    if (this.#open.has(item.id) || this.#done.some(({ id }) => id === item.id)) wrong('was added before');
    this.#index += 1;
    this.#open.set(item.id, { index: index ?? -1, said: '' });
  }

  #closed({ item, output_index: index }: Event, wrong: Wrong): void {
    const open = this.#open.get(item?.id ?? '');
    if (item === undefined || open === undefined || open.index !== index)
      return wrong('is about an item that is not open');
    if (open.said !== wordsIn(item)) wrong(`says "${wordsIn(item)}" where "${open.said}" was said`);
    this.#open.delete(item.id);
    this.#done.push(item);
  }

  #said({ type, item_id: id, delta }: Event, wrong: Wrong): void {
    const open = this.#open.get(id ?? '');
    if (open === undefined) return wrong('is about an item that is not open');
    if (FRAGMENT.test(type)) open.said += delta;
  }
}

type Wrong = (why: string) => void;

/** The text of a message, or the arguments of a call. */
function wordsIn(item: Item | undefined): string {
  return item?.arguments ?? item?.content?.map(({ text }) => text ?? '').join('') ?? '';
}
