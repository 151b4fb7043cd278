/**
 * What the strictest model servers refuse in a request, in their own words or nearly: the templates of Mistral, Gemma and
 * Llama 2, Mistral's own API, Anthropic's compatible endpoint, and servers that read arguments for their template.
 */
import { z } from 'zod';

const call = z.looseObject({
  id: z.string(),
  type: z.literal('function'),
  function: z.looseObject({ name: z.string(), arguments: z.string() }),
});
const part = z.looseObject({ type: z.string(), text: z.string().optional() });
const message = z.discriminatedUnion('role', [
  z.looseObject({ role: z.enum(['system', 'developer']), content: z.string() }),
  z.looseObject({ role: z.literal('user'), content: z.union([z.string(), z.array(part).min(1)]) }),
  z.looseObject({
    role: z.literal('assistant'),
    content: z.string().nullable(),
    tool_calls: z.array(call).min(1).optional(),
  }),
  z.looseObject({ role: z.literal('tool'), tool_call_id: z.string(), content: z.string() }),
]);
const messagesSchema = z.array(message).min(1);

type StrictMessage = z.infer<typeof message>;
type StrictCall = z.infer<typeof call>;

interface Strictness {
  /** Whether system messages stand at the beginning only; else they may stand in the middle, but not between calls and answers. */
  readonly systemFirst?: boolean;
  /** Whether ids have nine letters and digits. */
  readonly nine?: boolean;
}

/** What such a server says against these messages; null when it takes them. */
export function complaint(given: unknown, strictness: Strictness = {}): string | null {
  const read = messagesSchema.safeParse(given);
  if (!read.success) return `malformed: ${read.error.message}`;
  const reader = new Reader(strictness);
  for (const one of read.data) {
    const said = reader.read(one);
    if (said !== null) return said;
  }
  return reader.end();
}

class Reader {
  readonly #strictness: Strictness;
  readonly #ids = new Set<string>();
  /** The role before, the system aside; a system message in the middle is `null` again. */
  #before: 'user' | 'assistant' | 'tool' | 'system' | null = null;
  #isBegun = false;
  /** The last that was not the system. */
  #spoke: 'user' | 'assistant' | 'tool' | null = null;
  #open: StrictCall[] = [];

  constructor(strictness: Strictness) {
    this.#strictness = strictness;
  }

  read(one: StrictMessage): string | null {
    const wrong =
      blankIn(one) ??
      this.#order(one) ??
      (one.role === 'assistant' ? this.#calls(one.tool_calls ?? []) : null);
    if (wrong !== null) return wrong;
    if (one.role === 'system' || one.role === 'developer') this.#before = 'system';
    else {
      this.#isBegun = true;
      this.#spoke = one.role;
      this.#before = one.role;
    }
    return null;
  }

  end(): string | null {
    if (this.#open.length > 0) return `Not the same number of function calls and responses`;
    if (this.#spoke === 'user' || this.#spoke === 'tool') return null;
    return `Expected last role User or Tool for serving but got ${this.#spoke}`;
  }

  #order(one: StrictMessage): string | null {
    const before = this.#before;
    if (one.role === 'tool') {
      const wanted = this.#open.shift();
      if (wanted === undefined) return "Unexpected role 'tool'";
      return wanted.id === one.tool_call_id ? null : `Unexpected tool call id ${one.tool_call_id}`;
    }
    if (this.#open.length > 0) return `Not the same number of function calls and responses`;
    if (one.role === 'system' || one.role === 'developer') {
      if (before === 'system') return 'Two system messages in a row';
      return this.#strictness.systemFirst && this.#isBegun ? 'System message must be at the beginning' : null;
    }
    if (one.role === before) return `Conversation roles must alternate: two of ${one.role}`;
    if (one.role === 'user')
      return this.#spoke === 'tool' ? "Unexpected role 'user' after role 'tool'" : null;
    return this.#isBegun ? null : 'Conversation roles must alternate: the assistant begins';
  }

  #calls(calls: readonly StrictCall[]): string | null {
    for (const { id, function: called } of calls) {
      if (this.#strictness.nine !== false && !/^[a-zA-Z0-9]{9}$/.test(id))
        return `Tool call id was ${id} but must be a-z, A-Z, 0-9, with a length of 9.`;
      if (this.#strictness.nine !== false && this.#ids.has(id)) return `Duplicate tool call id ${id}`;
      this.#ids.add(id);
      if (!isJsonObject(called.arguments)) return 'invalid tool call arguments';
      if (!/^[a-zA-Z0-9_-]{1,64}$/.test(called.name)) return `Invalid function name ${called.name}`;
    }
    this.#open = [...calls];
    return null;
  }
}

function blankIn(one: StrictMessage): string | null {
  const texts =
    typeof one.content === 'string'
      ? [one.content]
      : (one.content ?? []).flatMap(({ text }) => (text === undefined ? [] : [text]));
  if (!JSON.stringify(one).isWellFormed() || !texts.every((text) => text.isWellFormed()))
    return "'utf-8' codec can't encode: surrogates not allowed";
  if (texts.some((text) => text.trim() === '')) return 'text content blocks must contain non-whitespace text';
  const isEmpty = one.role === 'assistant' && one.content === null && one.tool_calls === undefined;
  return isEmpty ? 'Assistant message must have either content or tool_calls' : null;
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
