/** The model of the harness: says what the plan has for each run, fails where the plan says so, and counts what it is asked. */
import {
  calls,
  finish,
  refuses,
  text,
  type FakeUpstream,
  type Script,
  type UpstreamRequest,
} from '../support/upstream.ts';
import { argumentsOf, planOf, toolOf, turnOf, wordsOf, type Plan, type RunPlan } from './plan.ts';

/** One question of a run's turn. */
export interface Asked {
  readonly plan: RunPlan;
  /** Forks count on from the turns of their plan. */
  readonly turn: number;
  /** The outputs of all calls so far, as the model was told them. */
  readonly outputs: readonly string[];
  /** Everything that was said and called before, in order. */
  readonly history: readonly string[];
  /** Whether it wants to hear the usage: a worker that does not know yet what server this is asks for none. */
  readonly wantsUsage: boolean;
}

export class CountingModel {
  readonly asked: Asked[] = [];
  readonly #plan: Plan;
  /** Runs whose fault has struck. */
  readonly #struck = new Set<number>();

  constructor(plan: Plan, upstream: FakeUpstream) {
    this.#plan = plan;
    upstream.reply((request) => this.#answer(request));
  }

  #answer(request: UpstreamRequest): Script {
    const found = planOf(this.#plan, request.text);
    if (found === null) throw new Error(`nobody planned to ask "${request.text}"`);
    const { plan, fork } = found;
    const { outputs, history } = request;
    const turn = fork === null ? turnAfter(plan, outputs.length) : plan.turns.length + fork;
    const wantsUsage = request.body.stream_options?.include_usage === true;
    this.asked.push({ plan, turn, outputs, history, wantsUsage });
    const script = scriptOf(plan, turn);
    if (plan.upstream === 'none' || this.#struck.has(plan.index)) return script;
    this.#struck.add(plan.index);
    return broken(plan, script);
  }
}

/** Every call of the turns before it has been answered. */
function turnAfter({ turns }: RunPlan, outputs: number): number {
  let before = 0;
  const turn = turns.findIndex(({ calls }) => {
    if (before === outputs) return true;
    before += calls;
    return false;
  });
  if (turn < 0) throw new Error(`${outputs} outputs belong to no turn`);
  return turn;
}

function scriptOf(plan: RunPlan, turn: number): Script {
  const { calls: wanted, fragmentMs } = turnOf(plan, turn);
  const pause = { type: 'delay', delayMs: fragmentMs } as const;
  const said = wordsOf(plan, turn).flatMap((word) => [text(word), pause]);
  if (wanted === 0) return [...said, finish('stop')];
  const name = toolOf(plan);
  const made = Array.from({ length: wanted }, () => ({ name, arguments: argumentsOf(plan) }));
  return [...said, ...calls(made).flatMap((step) => [step, pause])];
}

function broken({ upstream }: RunPlan, script: Script): Script {
  const middle = script.slice(0, Math.ceil(script.length / 2));
  switch (upstream) {
    case 'none':
      return script;
    case 'refuse':
      return refuses(503, 'The model is overloaded.');
    case 'early reset':
      return [{ type: 'break' }];
    case 'late reset':
      return [...middle, { type: 'break' }];
    case 'stall':
      return [...middle, { type: 'stall' }];
  }
}
