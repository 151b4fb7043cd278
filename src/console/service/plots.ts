/** The plots of the service: what waits, how long clients wait, what they ask for, and what models say. */
import { html, type TemplateResult } from 'lit-html';
import type { ServiceNews } from '../admin-stream.ts';
import { say, tag } from '../say.ts';
import { duration, size } from '../views.ts';
import { clockTime, Plot, type PlotOptions } from './plot.ts';
import type { Samples } from './samples.ts';

interface Column {
  readonly name: string;
  readonly of: (samples: Samples) => readonly (number | null)[];
}

interface ServicePlot {
  readonly plot: Plot;
  readonly columns: readonly Column[];
}

const seconds = (value: number): string => duration(value * 1_000);
const number = (value: number): string => value.toLocaleString(tag(), { maximumSignificantDigits: 3 });
const aSecond = (value: number): string => say(`${number(value)} / s`, `${number(value)} / 秒`);
/** For axes, where there is no room for long numbers. */
const shortASecond = (value: number): string => {
  const short = value.toLocaleString(tag(), { notation: 'compact', maximumSignificantDigits: 3 });
  return say(`${short} / s`, `${short} / 秒`);
};

export class ServicePlots {
  readonly #plots: readonly ServicePlot[];

  constructor(redraw: () => void) {
    const column =
      (value: (news: ServiceNews) => number | null | undefined) =>
      (samples: Samples): readonly (number | null)[] =>
        samples.column(value);
    const rate =
      (value: (news: ServiceNews) => number) =>
      (samples: Samples): readonly (number | null)[] =>
        samples.rate(value);
    const made = (
      title: string,
      words: (value: number) => string,
      columns: readonly Column[],
    ): ServicePlot => {
      const curves = columns.map(({ name }) => ({ name, words }));
      const axis = words === aSecond ? shortASecond : words;
      const options: PlotOptions = { title, curves, axis, looks: 'lines', time: clockTime };
      return { plot: new Plot(options, redraw), columns };
    };
    this.#plots = [
      made(say('Runs', '运行'), number, [
        { name: say('waiting', '等待中'), of: column(({ queue }) => queue?.waiting) },
        { name: say('at work', '执行中'), of: column(({ queue }) => queue?.active) },
      ]),
      made(say('Age of the oldest waiting run', '最久等待时间'), seconds, [
        { name: say('oldest', '最久'), of: column(({ queue }) => queue && queue.oldest_wait_ms / 1_000) },
      ]),
      made(say('Wait for the first word', '首字延迟'), seconds, [
        { name: 'p50', of: column((news) => news.first_word.p50_s) },
        { name: 'p90', of: column((news) => news.first_word.p90_s) },
        { name: 'p99', of: column((news) => news.first_word.p99_s) },
      ]),
      made(say('Requests', '请求'), aSecond, [
        { name: say('all', '全部'), of: rate(({ requests }) => requests.count) },
        { name: say('refused (4xx)', '被拒绝（4xx）'), of: rate(({ requests }) => requests.errors_4xx) },
        { name: say('failed (5xx)', '失败（5xx）'), of: rate(({ requests }) => requests.errors_5xx) },
      ]),
      made(say('Tokens', '令牌'), aSecond, [
        { name: say('read', '输入'), of: rate(({ tokens }) => tokens.input) },
        { name: say('written', '输出'), of: rate(({ tokens }) => tokens.output) },
      ]),
      made(say('Redis memory', 'Redis 内存'), size, [
        { name: say('used', '已用'), of: column(({ redis }) => redis.used_memory_bytes) },
      ]),
    ];
  }

  show(samples: Samples): void {
    const { times } = samples;
    for (const { plot, columns } of this.#plots)
      plot.data = { times, columns: columns.map(({ of }) => of(samples)) };
  }

  view(): TemplateResult {
    return html`<section aria-label=${say('The last fifteen minutes', '最近十五分钟')}>
      <h2>${say('The last fifteen minutes', '最近十五分钟')}</h2>
      <div class="plots">${this.#plots.map(({ plot }) => plot.view())}</div>
    </section>`;
  }

  close(): void {
    for (const { plot } of this.#plots) plot.close();
  }
}
