/** The figures of the last minutes, as plots want them: columns over time. */
import type { ServiceNews } from '../admin-stream.ts';

/** What is kept, in seconds. */
const SPAN_S = 900;
const MINUTE_S = 60;
/** Counters are compared over so many seconds at least: workers tell theirs every five, so shorter steps would be jagged. */
const RATE_OVER_S = 10;

export class Samples {
  readonly #news: ServiceNews[] = [];

  /** @returns whether it is new: after a lost connection the server begins with what is known already */
  add(news: ServiceNews): boolean {
    const last = this.#news.at(-1);
    if (last !== undefined && news.at < last.at) return false;
    // Two of one second: the later one knows more.
    if (last?.at === news.at) this.#news.pop();
    this.#news.push(news);
    while ((this.#news[0]?.at ?? news.at) < news.at - SPAN_S) this.#news.shift();
    return true;
  }

  /** Unix seconds. */
  get times(): readonly number[] {
    return this.#news.map(({ at }) => at);
  }

  /** What was told about a minute ago, or the first that is known; null where there is only one. */
  get minuteAgo(): ServiceNews | null {
    const last = this.#news.at(-1);
    const before = this.#news.findLast(({ at }) => at <= (last?.at ?? 0) - MINUTE_S) ?? this.#news[0];
    return before === last ? null : (before ?? null);
  }

  /** One value of each sample; null where it is not known. */
  column(value: (news: ServiceNews) => number | null | undefined): readonly (number | null)[] {
    return this.#news.map((news) => value(news) ?? null);
  }

  /** How fast a counter grew, a second; null where it began anew. */
  rate(counter: (news: ServiceNews) => number): readonly (number | null)[] {
    let from = 0;
    return this.#news.map((news, index) => {
      while (from + 1 < index && (this.#news[from + 1]?.at ?? 0) <= news.at - RATE_OVER_S) from += 1;
      const before = this.#news[from];
      if (before === undefined || before.at >= news.at) return null;
      const grown = counter(news) - counter(before);
      return grown < 0 ? null : grown / (news.at - before.at);
    });
  }
}
