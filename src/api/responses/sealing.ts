/** What clients keep sealed: thoughts, and summaries of what was said. */
import type { RunState } from '../../runs/run.ts';
import type { Services } from '../http/services.ts';
import type { Unseal } from './input.ts';
import { includes } from './output.ts';

/** What is wanted of a thought that goes to the client for keeping. */
const SEALED_THOUGHTS = 'reasoning.encrypted_content';

/** How thoughts are sealed for the client that asked for it; null where it did not, or where there is no SECRET. */
export function sealerOf(
  { seal }: Services,
  { origin }: Pick<RunState, 'origin'>,
): ((text: string) => string) | null {
  return seal !== null && includes({ origin }, SEALED_THOUGHTS)
    ? (text) => seal.closeText(text, origin.project)
    : null;
}

/** Opens texts that this server has sealed for clients that keep them. */
export function unsealer({ seal }: Services, project: string): Unseal {
  return (sealed) => seal?.openText(sealed, project) ?? null;
}
