/** Refusals that no other request would avoid, with what the operator can do about them. */
import { ModelError } from '../runs/model.ts';
import { refused, UpstreamFailure, type UpstreamRefusal } from './failure.ts';
import type { Route } from './upstreams.ts';

const NEVER = { retryable: false, waitMs: null } as const;

const TOOLS_ADVICE =
  'The operator can start the model server with tools (vLLM: --enable-auto-tool-choice and --tool-call-parser; llama.cpp: --jinja), choose another model, or set "tools": false for this one.';
const IMAGES_ADVICE =
  'The operator can name a model that sees in visionModels, or set "images": false for this one.';

/** The model takes no tools, and this request cannot do without: in the server's words, and with the advice. */
export function toolsRefused(there: Route, refusal: UpstreamRefusal): UpstreamFailure {
  const { code, kind, message, facts } = refused(there, { status: 400, said: refusal.said, retry: NEVER });
  const told = {
    kind,
    message: `${message}${/[.!?…]$/.test(message) ? '' : '.'} ${TOOLS_ADVICE}`,
    reason: `${facts.reason} ${TOOLS_ADVICE}`,
    status: refusal.status,
    refusal,
  };
  return new UpstreamFailure(there, code, told, NEVER);
}

/** The model sees no pictures, and the user has just shown one: in the server's words. */
export function imagesRefused(there: Route, refusal: UpstreamRefusal): UpstreamFailure {
  const { code, kind, message, facts } = refused(there, { status: 400, said: refusal.said, retry: NEVER });
  const reason = `${facts.reason} ${IMAGES_ADVICE}`;
  const told = { kind, message, reason, status: refusal.status, refusal };
  return new UpstreamFailure(there, code, told, NEVER);
}

/** A call is demanded of a model that gets no tools, by the operator's will. */
export function toolsOff({ upstream, model }: Route): ModelError {
  const text = `The model '${model}' takes no tools on this server ("tools": false in its configuration), but 'tool_choice' demands a call. Use another model, or leave 'tool_choice' out.`;
  return new ModelError('invalid_prompt', text, { facts: { upstream: upstream.name, model } });
}
