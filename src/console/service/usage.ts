/** What a project has used, day by day: a plot of its tokens, and a table. */
import { html, type TemplateResult } from 'lit-html';
import { costWords } from './cost.ts';
import { say, tag } from '../say.ts';
import { count, empty, link } from '../views.ts';
import type { UsageDay } from './details.ts';
import { Plot } from './plot.ts';
import { tableView, type Cell } from './table.ts';

const USAGE_DAYS = 30;
const DAY_S = 86_400;

/** What is asked for: so many days up to today, in UTC. */
export function usageSpan(nowMs: number): { readonly from: string; readonly to: string } {
  const date = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  return { from: date(nowMs - (USAGE_DAYS - 1) * DAY_S * 1_000), to: date(nowMs) };
}

export class UsageView {
  readonly #plot: Plot;
  #days: readonly UsageDay[] = [];

  constructor(redraw: () => void) {
    const title = say('Tokens by day', '每日令牌');
    const axis = (value: number): string =>
      value.toLocaleString(tag(), { notation: 'compact', maximumSignificantDigits: 3 });
    const curves = [{ name: say('tokens', '令牌'), words: count }];
    this.#plot = new Plot({ title, curves, axis, looks: 'bars', time: dayWords }, redraw);
  }

  /** @param days those on which something was used, the oldest first */
  set days(days: readonly UsageDay[]) {
    this.#days = days;
    const last = Math.floor(Date.now() / 1_000 / DAY_S) * DAY_S;
    const times = Array.from({ length: USAGE_DAYS }, (_, index) => last - (USAGE_DAYS - 1 - index) * DAY_S);
    const tokens = new Map(days.map(({ date, total_tokens: total }) => [date, total]));
    this.#plot.data = { times, columns: [times.map((at) => tokens.get(dateOf(at)) ?? 0)] };
  }

  view(): TemplateResult {
    const name = say('Usage by day', '每日用量');
    const none = empty(
      say(
        'Nothing was used in the last 30 days. Ask something in the playground.',
        '最近 30 天没有用量。请在演练场中提问。',
      ),
      link('', say('To the playground', '前往演练场'), 'button'),
    );
    return html`<section>
      <h2>${name}</h2>
      <p class="quiet">
        ${say('Of your key, by UTC day; a run counts on the day on which it ends.', '按你的密钥统计，以 UTC 日期计；运行计入其结束的那天。')}
      </p>
      ${this.#days.length === 0 ? none : html`${this.#plot.view()} ${this.#table(name)}`}
    </section>`;
  }

  close(): void {
    this.#plot.close();
  }

  #table(name: string): TemplateResult {
    const hasCost = this.#days.some(({ cost }) => cost !== undefined);
    const columns = [
      say('Day', '日期'),
      say('Runs', '运行'),
      say('Failed', '失败'),
      say('Tokens read', '输入令牌'),
      say('Tokens written', '输出令牌'),
      ...(hasCost ? [say('Cost', '费用')] : []),
    ];
    return tableView(
      name,
      columns,
      this.#days.toReversed().map((day) => row(day, hasCost)),
    );
  }
}

function row(day: UsageDay, hasCost: boolean): readonly Cell[] {
  const { date, runs, prompt_tokens: read, completion_tokens: written, cost, currency } = day;
  const all = Object.values(runs).reduce((total, value) => total + value, 0);
  return [
    html`<time datetime=${date}>${date}</time>`,
    { number: count(all) },
    { number: count((runs['failed'] ?? 0) + (runs['expired'] ?? 0)) },
    { number: count(read) },
    { number: count(written) },
    ...(hasCost ? [{ number: costWords(cost, currency) }] : []),
  ];
}

const dateOf = (at: number): string => new Date(at * 1_000).toISOString().slice(0, 10);

function dayWords(at: number): string {
  return new Date(at * 1_000).toLocaleDateString(tag(), { timeZone: 'UTC', dateStyle: 'medium' });
}
