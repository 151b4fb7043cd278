/**
 * One completion of a run: asks the model and turns what it says into events. A prompt that its server refuses as too
 * long is asked again with fewer messages.
 */
import type { RunEvent } from './event.ts';
import { ModelError, type Model, type ModelPart, type Overflow } from './model.ts';
import type { Prompt } from './prompt.ts';

/** A prompt to ask the model with. */
export type Ask = Extract<Prompt, { type: 'ask' }>;

/** Who makes events of what the model says. */
interface PartListener {
  /** The model has sent its finish part. */
  readonly isOver: boolean;
  /** Whether anything of the answer was passed on. */
  readonly hasBegun: boolean;
  hear(part: ModelPart): readonly RunEvent[];
  /** Whether a part only adds to what is open: then its events, if any, are fragments. */
  adds(part: ModelPart): boolean;
  /** The model is asked again with another prompt. */
  begins(prompt: Ask): readonly RunEvent[];
  fail(error: ModelError): readonly RunEvent[];
}

/**
 * Where fragments go in the moment they come. The generator's reader, who waits for the next batch then, is not given them:
 * promises and generators would cost more than all else that is done here with a token.
 */
export interface Lane {
  /** Whether it takes fragments now; otherwise they are yielded. */
  readonly isOpen: boolean;
  /** @param events fragments, which follow upon all that was yielded */
  add(events: readonly RunEvent[]): void;
}

/** What is asked, and who hears it. */
interface AskContext {
  readonly model: Model;
  readonly signal: AbortSignal;
  readonly lane?: Lane;
}

/** How often a prompt is cut that its server refuses as too long. */
const MAX_CUTS = 2;

/**
 * Asks and yields, until the answer is complete or has failed.
 * @param shorten makes a shorter prompt of a refused one, where something can be left out
 * @throws the signal's reason when aborted
 */
export async function* ask(
  listener: PartListener,
  prompt: Ask,
  { model, signal, lane }: AskContext,
  shorten: (refused: Ask, overflow: Overflow) => Prompt,
): AsyncGenerator<readonly RunEvent[], void> {
  const take = (part: ModelPart): boolean => {
    if (lane?.isOpen !== true || !listener.adds(part)) return false;
    const events = listener.hear(part);
    if (events.length > 0) lane.add(events);
    return true;
  };
  for (let cuts = 0, asked = prompt; ; cuts += 1) {
    try {
      for await (const part of model.stream(asked.request, signal, take)) {
        if (part.type === 'finish' && part.usage !== null)
          model.promptCounted?.(asked.request, part.usage.prompt_tokens, asked.estimatedTokens);
        const events = listener.hear(part);
        if (events.length > 0) yield events;
      }
      if (!listener.isOver)
        throw new ModelError('server_error', 'The model stopped without saying that it was done.');
      return;
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      const { overflow } = error;
      const mayCut = overflow !== null && !listener.hasBegun && cuts < MAX_CUTS;
      const shorter = mayCut ? shorten(asked, overflow) : null;
      if (shorter?.type !== 'ask' || sizeOf(shorter) >= sizeOf(asked)) {
        yield listener.fail(shorter?.type === 'too long' ? doesNotFit(error) : error);
        return;
      }
      const dropped = listener.begins(shorter);
      if (dropped.length > 0) yield dropped;
      asked = shorter;
    }
  }
}

/** The server's refusal of a prompt that must not be cut, under the name that clients look for. */
function doesNotFit({ message, facts, overflow }: ModelError): ModelError {
  const code = 'context_length_exceeded';
  return new ModelError(code, message, { overflow, facts: { ...facts, param: 'input', code } });
}

const sizeOf = ({ request }: Ask): number => request.messages.length;
