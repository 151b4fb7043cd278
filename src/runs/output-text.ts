/** What tools answer, as the model reads it. Pure. */
import { picturesIn, toolOutput } from './pictures.ts';

/** More would crowd out the conversation. */
const MAX_OUTPUT_LENGTH = 32_000;

/** A tool's answer as the model reads it. */
export function outputText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  // Half a picture is useless, and a whole one costs the same number of tokens whatever its length.
  if (text.length <= MAX_OUTPUT_LENGTH || picturesIn(text) !== null) return toolOutput(text);
  // Strict upstreams refuse half of a surrogate pair.
  return `${text.slice(0, MAX_OUTPUT_LENGTH).replace(/[\uD800-\uDBFF]$/, '')} … (cut)`;
}
