/** What is measured of the requests to model servers: how long they take, how they fail, and the tokens they cost. */
import { costOf } from '../runs/cost.ts';
import type { ModelPart, ModelRequest } from '../runs/model.ts';
import type { ModelTraces, RequestTrace } from '../runs/trace/export.ts';
import { UpstreamFailure } from './failure.ts';
import type { FailureKind } from './failure-kind.ts';
import { pricesAt, type Route, type Upstream } from './upstreams.ts';

/** Takes figures; the labels are those of the measure, in their order. */
export interface ModelMeasures {
  note(
    name:
      | 'model_request_seconds'
      | 'model_first_token_seconds'
      | 'tokens_total'
      | 'cost_total'
      | 'upstream_errors_total'
      | 'upstream_retries_total',
    value: number,
    ...labels: readonly string[]
  ): void;
}

/** Who hears of requests; null where nobody does. */
export interface WatchedBy {
  readonly measures: ModelMeasures | null;
  readonly traces: ModelTraces | null;
}

type RequestOutcome = 'answered' | 'failed' | 'cancelled';

/** One request, from its sending to its end. */
export class WatchedRequest {
  readonly #route: Route;
  readonly #measures: ModelMeasures | null;
  readonly #trace: RequestTrace | null;
  readonly #sentMs = performance.now();
  #hasBegun = false;
  #isOver = false;

  /** @param isAgain whether the same turn was asked before */
  constructor(
    { run_id, model }: Pick<ModelRequest, 'run_id' | 'model'>,
    route: Route,
    { measures, traces }: WatchedBy,
    isAgain: boolean,
  ) {
    this.#route = route;
    this.#measures = measures;
    const { upstream, model: named } = route;
    this.#trace = traces?.request(run_id, { model, upstream, named, isAgain }) ?? null;
    if (isAgain) measures?.note('upstream_retries_total', 1, route.upstream.name);
  }

  hear(part: ModelPart): void {
    if (!this.#hasBegun && part.type !== 'finish') {
      this.#hasBegun = true;
      this.#trace?.begun();
      this.#measures?.note('model_first_token_seconds', this.#seconds, this.#route.upstream.name);
    }
    if (part.type !== 'finish') return;
    this.#trace?.finished(part.reason, part.usage);
    this.#count(part.usage);
  }

  answered(): void {
    this.#trace?.answered();
    this.#end('answered');
  }

  failed(error: unknown): void {
    const { name } = this.#route.upstream;
    this.#trace?.failed(kindOf(error));
    if (!this.#isOver) this.#measures?.note('upstream_errors_total', 1, name, kindOf(error));
    this.#end('failed');
  }

  /** Whoever asked does not want to hear more. */
  cancelled(): void {
    this.#trace?.cancelled();
    this.#end('cancelled');
  }

  #end(outcome: RequestOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#measures?.note('model_request_seconds', this.#seconds, this.#route.upstream.name, outcome);
  }

  #count(usage: Extract<ModelPart, { type: 'finish' }>['usage']): void {
    if (usage === null) return;
    const { upstream, model } = this.#route;
    const count = (kind: string, tokens: number): void => {
      if (tokens > 0)
        this.#measures?.note('tokens_total', tokens, upstream.name, modelLabel(upstream, model), kind);
    };
    count('input', usage.prompt_tokens);
    count('cached', usage.prompt_token_details.cached_tokens);
    count('output', usage.completion_tokens);
    count('reasoning', usage.completion_tokens_details.reasoning_tokens);
    const cost = costOf(usage, pricesAt(this.#route));
    if (cost !== null) this.#measures?.note('cost_total', cost, upstream.name, modelLabel(upstream, model));
  }

  get #seconds(): number {
    return (performance.now() - this.#sentMs) / 1_000;
  }
}

function kindOf(error: unknown): FailureKind {
  return error instanceof UpstreamFailure ? error.kind : 'other';
}

/** The model's name where the configuration has it: callers may ask for any model, and each name would stay for ever. */
function modelLabel({ models, aliases, visionModels, modelSettings = {} }: Upstream, model: string): string {
  const isNamed =
    models.includes(model) ||
    Object.values(aliases).includes(model) ||
    Object.values(visionModels).includes(model) ||
    Object.hasOwn(modelSettings, model);
  return isNamed ? model : 'other';
}
