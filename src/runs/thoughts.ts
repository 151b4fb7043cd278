/**
 * What reasoning models say to themselves before they answer or call. Servers want it back while the model works with
 * tools, under the name they gave it, so that is kept. It belongs to a completion: it stays with the step of its calls, or
 * of its words where it made none. Pure.
 */

/** The fields of a message in which servers send thoughts: DeepSeek, Qwen and older vLLM the first, OpenRouter and newer vLLM the other. */
export const THOUGHT_FIELDS = ['reasoning_content', 'reasoning'] as const;

export type ThoughtField = (typeof THOUGHT_FIELDS)[number];

/** A fragment of what a model thinks, and the field it came in. */
export interface Thought {
  readonly field: ThoughtField;
  readonly text: string;
}

/** A message's thoughts as it carries them on the wire. */
export type ThoughtFields = { readonly [Field in ThoughtField]?: string };

/**
 * The thoughts with a further one, which continues those that came in the same field. So there is one for each field at most,
 * however often a server changes between them; each costs this, in everybody who follows the run.
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

/** The text of all thoughts that a message carries. */
export function thoughtText(fields: ThoughtFields): string {
  return THOUGHT_FIELDS.map((field) => fields[field] ?? '').join('');
}
