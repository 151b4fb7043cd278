/**
 * Reads the service: every ten seconds for the history of this process, which plots begin with, and every two seconds while
 * somebody watches. All watchers of a process share one reading. Owns its timers.
 */
import { serviceView, streamedView, type ServiceReading, type ServiceView } from './reading.ts';

/** Of the history. */
export const HISTORY_EVERY_MS = 10_000;
const WATCHED_EVERY_MS = 2_000;
/** An hour. */
const KEPT = 360;
/** Figures of the last minute are compared with the reading before these. */
const COMPARED = 6;

export interface SamplerOptions {
  /** Reads everything. May fail while Redis is away. */
  readonly read: () => Promise<ServiceReading>;
  /** Is called before each reading for the history. */
  readonly onTick: () => Promise<void>;
  readonly historyEveryMs?: number;
}

export class Sampler {
  readonly #options: SamplerOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners = new Set<(text: string) => void>();
  readonly #history: { readonly atMs: number; readonly text: string }[] = [];
  /** The latest readings of the history, the newest last. */
  readonly #readings: ServiceReading[] = [];
  #watching: NodeJS.Timeout | undefined;
  /** The reading under way; while Redis hangs, there is only one. */
  #reading: Promise<ServiceView> | null = null;

  constructor(options: SamplerOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.tick(), options.historyEveryMs ?? HISTORY_EVERY_MS);
    this.#timer.unref();
    void this.tick();
  }

  /** How the service is now. */
  async now(): Promise<ServiceView> {
    return this.#read(() => {});
  }

  /** Takes a reading for the history. */
  async tick(): Promise<void> {
    try {
      await this.#options.onTick();
      await this.#read((reading, view) => {
        const workers = view.workers.map((worker) => ({ ...worker, running: [] }));
        this.#history.push({ atMs: reading.atMs, text: JSON.stringify({ ...view, workers, history: true }) });
        if (this.#history.length > KEPT) this.#history.shift();
        this.#readings.push(reading);
        if (this.#readings.length > COMPARED) this.#readings.shift();
      });
    } catch {
      // Redis' connections report its absence. A gap in the history shows it as well.
    }
  }

  /** Calls `listener` every two seconds with how the service is, as JSON of {@link streamedView}. @returns how to stop */
  follow(listener: (text: string) => void): () => void {
    this.#listeners.add(listener);
    this.#watching ??= setInterval(() => void this.#tellAll(), WATCHED_EVERY_MS);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#watching);
      this.#watching = undefined;
    };
  }

  /** Readings of the last seconds as JSON, the oldest first, without the runs of workers. */
  history(seconds: number): readonly string[] {
    const newestMs = this.#history.at(-1)?.atMs ?? 0;
    return this.#history.filter(({ atMs }) => atMs > newestMs - seconds * 1_000).map(({ text }) => text);
  }

  close(): void {
    clearInterval(this.#timer);
    clearInterval(this.#watching);
  }

  async #tellAll(): Promise<void> {
    if (this.#reading !== null) return;
    try {
      const text = JSON.stringify(streamedView(await this.now()));
      for (const listener of this.#listeners) listener(text);
    } catch {
      // The next one comes.
    }
  }

  async #read(keep: (reading: ServiceReading, view: ServiceView) => void): Promise<ServiceView> {
    const reading = (async () => {
      const found = await this.#options.read();
      const view = serviceView(found, this.#readings[0] ?? null);
      keep(found, view);
      return view;
    })();
    this.#reading = reading;
    return reading.finally(() => {
      if (this.#reading === reading) this.#reading = null;
    });
  }
}
