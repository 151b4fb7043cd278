/**
 * What reasoning models say to themselves before they answer or call. Servers want it back while the model works with
 * tools, in the field they sent it in, so the field is kept. Thoughts belong to a completion: they stay with its step
 * of calls, or with its message step where it made no calls. Pure.
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

/** The thoughts of a message, as the wire carries them. */
export type ThoughtFields = { readonly [Field in ThoughtField]?: string };

/** The thoughts with one more added; it continues the last one where both came in the same field. */
export function thoughtMore(thoughts: readonly Thought[], { field, text }: Thought): readonly Thought[] {
  const last = thoughts.at(-1);
  return last?.field === field
    ? [...thoughts.slice(0, -1), { field, text: last.text + text }]
    : [...thoughts, { field, text }];
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
