/**
 * The likelihood of each token of an answer, as the model server says it: only for chat clients that asked, and beside
 * the words it is about. The entries go from the server to the client as they are. Pure.
 */
import { isRecord } from './record.ts';

/** Entries for the tokens of a text, and for those of a refusal; a list is missing where it would be empty. */
export interface Logprobs {
  readonly content?: readonly object[];
  readonly refusal?: readonly object[];
}

const LISTS = ['content', 'refusal'] as const;

/** What the `logprobs` of a choice hold; null where that is nothing. */
export function logprobsIn(said: unknown): Logprobs | null {
  if (typeof said !== 'object' || said === null) return null;
  const lists = LISTS.flatMap((name): [string, readonly object[]][] => {
    const list: unknown = Reflect.get(said, name);
    const entries = Array.isArray(list) ? list.filter(isRecord) : [];
    return entries.length === 0 ? [] : [[name, entries]];
  });
  return lists.length === 0 ? null : Object.fromEntries(lists);
}

/** The entries of both, in order. */
export function moreLogprobs(
  first: Logprobs | undefined,
  second: Logprobs | undefined,
): Logprobs | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  const lists = LISTS.flatMap((name): [string, readonly object[]][] => {
    const entries = [...(first[name] ?? []), ...(second[name] ?? [])];
    return entries.length === 0 ? [] : [[name, entries]];
  });
  return Object.fromEntries(lists);
}

/** How many entries there are. */
export function countLogprobs(logprobs: Logprobs | undefined): number {
  return (logprobs?.content?.length ?? 0) + (logprobs?.refusal?.length ?? 0);
}
