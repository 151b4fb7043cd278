/**
 * A plot over time. uPlot draws it on a canvas; beside it stands a table of the latest values, or of those under the pointer, for
 * those who cannot see it and for those who want numbers. Its colours are those of the style sheet, light or dark.
 */
import { html, type TemplateResult } from 'lit-html';
import { ref } from 'lit-html/directives/ref.js';
import uPlot from 'uplot';
import { say, tag } from '../say.ts';
import { isDark } from '../theme.ts';

export interface Curve {
  readonly name: string;
  /** In words, with the unit. */
  readonly words: (value: number) => string;
}

export interface PlotOptions {
  readonly title: string;
  readonly curves: readonly Curve[];
  /** Words for a value of the axis. */
  readonly axis: (value: number) => string;
  readonly looks: 'lines' | 'bars';
  /** How a time is said, from unix seconds. */
  readonly time: (at: number) => string;
}

export interface PlotData {
  /** Unix seconds. */
  readonly times: readonly number[];
  /** For each curve, one for each time. */
  readonly columns: readonly (readonly (number | null)[])[];
}

const HEIGHT = 190;
/** Above the highest value, as a share of it. */
const HEADROOM = 0.12;
const AXIS_WIDTH = 72;
/** Right of the plot, for the half of the last word below it. */
const RIGHT = 36;
const DAY_S = 86_400;
const FONT = '12px system-ui, sans-serif';

export class Plot {
  readonly #options: PlotOptions;
  readonly #redraw: () => void;
  #data: PlotData = { times: [], columns: [] };
  #chart: uPlot | null = null;
  #element: HTMLElement | null = null;
  /** What is under the pointer. */
  #index: number | null = null;
  #wasDark = isDark();
  readonly #sizes = new ResizeObserver(() => this.#fit());

  /** @param redraw called when other values are to be shown beside the plot */
  constructor(options: PlotOptions, redraw: () => void) {
    this.#options = options;
    this.#redraw = redraw;
  }

  set data(data: PlotData) {
    this.#data = data;
    this.#chart?.setData(aligned(data));
  }

  view(): TemplateResult {
    if (this.#wasDark !== isDark()) {
      this.#wasDark = isDark();
      // The style sheet has changed its colours by the next frame.
      requestAnimationFrame(() => this.#begin());
    }
    const { title, curves, time } = this.#options;
    const { times, columns } = this.#data;
    const index = this.#index === null ? times.length - 1 : Math.min(this.#index, times.length - 1);
    const at = times[index];
    const values = curves.map(({ name, words }, curve) => {
      const value = columns[curve]?.[index];
      return { name, words: value == null ? '–' : words(value) };
    });
    const label = `${title}: ${values.map(({ name, words }) => `${name} ${words}`).join(', ')}`;
    return html`<figure class="plot">
      <figcaption><h3>${title}</h3></figcaption>
      <div class="canvas" role="img" aria-label=${label} ${ref(this.#attach)}></div>
      <table class="legend">
        <thead class="unseen">
          <tr>
            <th scope="col">${say('Curve', '曲线')}</th>
            <th scope="col">${say('Value', '数值')}</th>
          </tr>
        </thead>
        <tbody>
          ${values.map(
            ({ name, words }, curve) =>
              html`<tr>
                <th scope="row"><span class="ink ink-${curve}" aria-hidden="true"></span>${name}</th>
                <td class="number">${words}</td>
              </tr>`,
          )}
        </tbody>
      </table>
      <p class="hint">${at === undefined ? say('Nothing yet', '暂无数据') : time(at)}</p>
    </figure>`;
  }

  close(): void {
    this.#sizes.disconnect();
    this.#chart?.destroy();
    this.#chart = null;
  }

  readonly #attach = (element?: Element): void => {
    if (element === this.#element) return;
    this.close();
    this.#element = element instanceof HTMLElement ? element : null;
    // The legend, whose colours are taken, is drawn in the same frame.
    if (this.#element !== null) requestAnimationFrame(() => this.#begin());
  };

  #begin(): void {
    const element = this.#element;
    if (element === null || !element.isConnected) return;
    this.#chart?.destroy();
    const width = element.clientWidth;
    this.#chart = new uPlot(this.#chartOptions(element, width), aligned(this.#data), element);
    this.#sizes.observe(element);
  }

  #chartOptions(element: HTMLElement, width: number): uPlot.Options {
    const { curves, looks } = this.#options;
    const style = getComputedStyle(element);
    const lines = { stroke: style.borderTopColor, width: 1 };
    const axis = { stroke: style.color, font: FONT, grid: lines, ticks: lines };
    return {
      width,
      height: HEIGHT,
      padding: [null, RIGHT, null, null],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false, points: { show: looks === 'lines' } },
      scales: {
        x: { range: this.#span },
        y: { range: (_, __, most) => [0, most > 0 ? most * (1 + HEADROOM) : 1] },
      },
      axes: [
        {
          ...axis,
          values: (_, splits) => momentWords(splits, looks),
          space: 90,
          ...(looks === 'bars' && { splits: days }),
        },
        { ...axis, size: AXIS_WIDTH, values: (_, splits) => splits.map(this.#options.axis) },
      ],
      series: [{}, ...curves.map((curve, index) => seriesOf(curve, inkOf(element, index), looks))],
      hooks: { setCursor: [({ cursor }) => this.#point(cursor.idx ?? null)] },
    };
  }

  readonly #span = (_: uPlot, from: number, to: number): uPlot.Range.MinMax => {
    const [first, last] = [this.#data.times[0] ?? from, this.#data.times.at(-1) ?? to];
    const margin = this.#options.looks === 'bars' ? 43_200 : 0;
    // One sample alone has no span.
    return [Math.min(first, last - 60) - margin, last + margin];
  };

  #point(index: number | null): void {
    if (index === this.#index) return;
    this.#index = index;
    this.#redraw();
  }

  #fit(): void {
    const width = this.#element?.clientWidth ?? 0;
    if (width > 0 && width !== this.#chart?.width) this.#chart?.setSize({ width, height: HEIGHT });
  }
}

function seriesOf({ name }: Curve, ink: string, looks: PlotOptions['looks']): uPlot.Series {
  const line = { label: name, stroke: ink, width: 2, points: { show: false } };
  const paths = looks === 'bars' ? uPlot.paths.bars?.({ size: [0.7, 40] }) : undefined;
  return paths === undefined ? line : { ...line, width: 0, fill: ink, paths };
}

const TO_THE_MINUTE = { hour: '2-digit', minute: '2-digit' } as const;

/** A time of the day, as the tables of the console say it. @param at unix seconds */
export function clockTime(at: number): string {
  return new Date(at * 1_000).toLocaleTimeString(tag(), { ...TO_THE_MINUTE, second: '2-digit' });
}

/** The days that have a word below them: the newest always. @param step how far they are apart at least, in seconds */
function days(_: uPlot, __: number, from: number, to: number, step: number): number[] {
  const apart = Math.ceil(step / DAY_S) * DAY_S;
  const last = Math.floor(to / DAY_S) * DAY_S;
  return Array.from(
    { length: Math.floor((last - from) / apart) + 1 },
    (_, index) => last - index * apart,
  ).toReversed();
}

/** What stands below the plot: days, or times to the minute where they are minutes apart. */
function momentWords(splits: readonly number[], looks: PlotOptions['looks']): string[] {
  const [first = 0, second = 0] = splits;
  const time: Intl.DateTimeFormatOptions = {
    ...TO_THE_MINUTE,
    ...(second - first < 60 && { second: '2-digit' }),
  };
  const day: Intl.DateTimeFormatOptions = { day: 'numeric', month: 'short', timeZone: 'UTC' };
  const format = new Intl.DateTimeFormat(tag(), looks === 'bars' ? day : time);
  return splits.map((at) => format.format(at * 1_000));
}

/** The colour of a curve: that of its mark in the legend. */
function inkOf(element: HTMLElement, index: number): string {
  const mark = element.closest('.plot')?.querySelector(`.ink-${index}`);
  return getComputedStyle(mark ?? element).color;
}

function aligned({ times, columns }: PlotData): uPlot.AlignedData {
  return [[...times], ...columns.map((column) => [...column])];
}
