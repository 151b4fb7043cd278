/**
 * What reasoning models say to themselves before they answer or call. Servers want it back beside the calls it led to,
 * in the field they sent it in and for as long as those calls are in the prompt, so the field is kept. Thoughts belong
 * to a completion: they stay with its step of calls, or with its message step where it made no calls. Pure.
 */

/**
 * The fields of a message in which servers send thoughts: the first for DeepSeek, Qwen and older vLLM, the second for
 * OpenRouter and newer vLLM.
 */
export const THOUGHT_FIELDS = ['reasoning_content', 'reasoning'] as const;

export type ThoughtField = (typeof THOUGHT_FIELDS)[number];

/** A fragment of what a model thinks, and the field it came in. */
export interface Thought {
  readonly field: ThoughtField;
  readonly text: string;
}

/** A thought as it is kept. Those that older versions kept do not say who had them. */
export interface KeptThought extends Thought {
  /** The {@link thinker}. */
  readonly by?: string;
}

/** The model that a run asks, at the server that its assistant names or that the model's name leads to. */
export function thinker(model: string, backendId: string | null): string {
  return JSON.stringify([backendId, model]);
}

/** The thoughts of a message, as the wire carries them. */
export type ThoughtFields = { readonly [Field in ThoughtField]?: string };

/**
 * The thoughts with one more added, which continues those of the same field. So there is at most one for each field, however
 * often a model server changes between them; every process that follows the run pays for each.
 */
export function thoughtMore(thoughts: readonly Thought[], { field, text }: Thought): readonly Thought[] {
  const place = thoughts.findIndex((thought) => thought.field === field);
  const before = thoughts[place]?.text;
  return before === undefined
    ? [...thoughts, { field, text }]
    : thoughts.with(place, { field, text: before + text });
}

/** The thoughts as fields of a message; none where there are none. */
export function thoughtFields(thoughts: readonly Thought[]): ThoughtFields {
  const fields: { [Field in ThoughtField]?: string } = {};
  for (const { field, text } of thoughts) fields[field] = (fields[field] ?? '') + text;
  return fields;
}

/**
 * The thoughts of a message that a client sends back, under the names that it sent. The same under both names is our own
 * doubling for a server that says `reasoning`, which then gets that name only.
 */
export function sentThoughts(message: { readonly [Field in ThoughtField]?: unknown }): ThoughtFields {
  const isDoubled = message.reasoning === message.reasoning_content;
  const said = THOUGHT_FIELDS.filter((field) => !(isDoubled && field === 'reasoning_content'));
  return thoughtFields(
    said.flatMap((field) => {
      const text = message[field];
      return typeof text === 'string' && text !== '' ? [{ field, text }] : [];
    }),
  );
}

/** The text of all thoughts that a message carries. */
export function thoughtText(fields: ThoughtFields): string {
  return THOUGHT_FIELDS.map((field) => fields[field] ?? '').join('');
}

const OF_THOUGHTS = /think|reason|thought/i;
/** Where parts of a content list have their thoughts: Mistral's and Anthropic's, Databricks', and others. */
const PLACES = ['thinking', 'reasoning', 'summary', 'text'] as const;

/** The thought in one part of a content list, as some servers say it; empty for any other part. */
export function thoughtInPart(part: unknown): string {
  if (!hasTextAt(part, 'type') || !OF_THOUGHTS.test(part.type)) return '';
  const fields: Readonly<Record<string, unknown>> = { ...part };
  const said = PLACES.map((name) => fields[name]).find((value) => Array.isArray(value) || isText(value));
  if (!Array.isArray(said)) return isText(said) ? said : '';
  const pieces: readonly unknown[] = said;
  return pieces
    .map((one) => (hasTextAt(one, 'text') ? one.text : one))
    .filter(isText)
    .join('');
}

function hasTextAt<Name extends string>(value: unknown, name: Name): value is Readonly<Record<Name, string>> {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'string';
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
