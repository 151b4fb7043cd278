/**
 * What reasoning models say to themselves before they answer or call. Servers want it back beside its calls, under the
 * name they gave it and for as long as those are in the prompt, so that is kept. It belongs to a completion: it stays with the step of its calls, or
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

/** A thought as it is kept. Those that older versions kept do not say who had them. */
export interface KeptThought extends Thought {
  /** The {@link thinker}. */
  readonly by?: string;
}

/** Who thinks in a run: the model it asks for, at the server that its assistant names, or that the model's name leads to. */
export function thinker(model: string, backendId: string | null): string {
  return JSON.stringify([backendId, model]);
}

/** A message's thoughts as it carries them on the wire. */
export type ThoughtFields = { readonly [Field in ThoughtField]?: string };

/** The thoughts with a further one, which continues the last where it came in the same field. */
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
