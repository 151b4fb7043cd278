/** What every refusal of the API must look like, whatever its reason. */
import { expect } from 'vitest';
import type { Reply } from './wire.ts';

export interface Refusal {
  /** 400 unless said. */
  readonly status?: number;
  readonly message: string | RegExp;
  readonly param?: string;
  readonly code?: string;
  /** `invalid_request_error` unless said. */
  readonly type?: string;
}

/** Expects JSON with the four keys and nothing else, a request id, and no detail of the server's internals. */
export function expectRefusal(reply: Reply, { status = 400, message, param, code, type }: Refusal): void {
  const text: unknown = typeof message === 'string' ? message : expect.stringMatching(message);
  const error = {
    message: text,
    type: type ?? 'invalid_request_error',
    param: param ?? null,
    code: code ?? null,
  };
  expect({ status: reply.status, body: reply.body }).toEqual({ status, body: { error } });
  expect(reply.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(reply.headers.get('x-request-id')).toMatch(/^req_[A-Za-z0-9]{24}$/);
  // As words: letters drawn for an id may spell either of the last two.
  expect(reply.text).not.toMatch(/\n\s*at |node_modules|\.ts\b|\bioredis\b|\bzod\b/i);
}
