/** Who tells what for traces, and where spans go besides the trace of their run. The processes bring both in. */
import type { Usage } from '../thread.ts';
import type { Attributes, Span } from './span.ts';

/** A request to a model server. */
export interface AskedModel {
  /** As the run names it. */
  readonly model: string;
  readonly upstream: { readonly name: string; readonly baseUrl: string };
  /** The server's name for it. */
  readonly named: string;
  /** The same was asked before. */
  readonly isAgain: boolean;
}

/** Hears what becomes of a request to a model server. */
export interface RequestTrace {
  /** The first word, thought or call has come. */
  begun(): void;
  finished(reason: string, usage: Usage | null): void;
  answered(): void;
  /** @param error in a word or two */
  failed(error: string): void;
  /** Nobody wants to hear more. */
  cancelled(): void;
}

export interface ModelTraces {
  /** A request is sent for a run. @returns null where nobody wants to know */
  request(runId: string, asked: AskedModel): RequestTrace | null;
}

/** Spans are named to each other by the header `traceparent` of W3C Trace Context. */
export interface SpanExport {
  /** The span in which the caller runs; null where there is none. */
  active(): string | null;
  /** Takes a span that has ended, under a parent. Never throws, and nothing waits for it. */
  ended(span: Span, parent: string, more?: Attributes): void;
}
