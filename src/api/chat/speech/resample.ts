/**
 * From 24,000 samples a second, as speech servers make them, to the 16,000 that voice engines play: every third value of
 * the sound at twice its rate, behind a filter that leaves nothing above the new half rate. Pure.
 */

/** The rate between both: a multiple of either. */
const COMMON_RATE = 48_000;
const UP = 2;
const DOWN = 3;
/** Half way between what passes (to 6.8 kHz, where consonants are) and what must not (from 8 kHz on). */
const CUTOFF_HZ = 7_400;
/** With this many taps on either side and this window, what must not pass is 60 dB lower. */
const HALF = 72;
const KAISER_BETA = 5.65;

/** The filter's values that meet samples, for a value that lies on a sample and for one that lies between two. */
const PHASES = [0, 1].map((phase) => lowPass().filter((_, index) => index % UP === phase));

/** One sound. */
export class Resampler {
  /** What later values are still made of, and its place in the whole sound. */
  #held = new Float64Array(0);
  #start = 0;
  /** How many values were made. */
  #made = 0;

  /** Values at the lower rate, as far as these samples reach. */
  push(samples: Int16Array): Int16Array {
    const held = new Float64Array(this.#held.length + samples.length);
    held.set(this.#held);
    held.set(samples, this.#held.length);
    this.#held = held;
    return this.#make(Math.floor(((this.#start + held.length) * UP - HALF + DOWN - 1) / DOWN));
  }

  /** The last values. */
  end(): Int16Array {
    return this.#make(Math.ceil(((this.#start + this.#held.length) * UP) / DOWN));
  }

  /** Makes values until there are `count` of the whole sound. */
  #make(count: number): Int16Array {
    const values = new Int16Array(Math.max(0, count - this.#made));
    for (let index = 0; index < values.length; index += 1) {
      const at = (this.#made + index) * DOWN;
      const offset = Math.ceil((at - HALF) / UP) - this.#start;
      values[index] = valueOf(this.#held, offset, PHASES[at % UP] ?? NONE);
    }
    this.#made += values.length;
    const needed = Math.max(0, Math.ceil((this.#made * DOWN - HALF) / UP));
    this.#held = this.#held.slice(Math.max(0, needed - this.#start));
    this.#start = Math.max(this.#start, needed);
    return values;
  }
}

/** One value, from the samples at `offset` on. Beyond either end of the sound there is silence. */
function valueOf(samples: Float64Array, offset: number, phase: Float64Array): number {
  const end = Math.min(phase.length, samples.length - offset);
  let sum = 0;
  for (let tap = Math.max(0, -offset); tap < end; tap += 1)
    sum += (samples[offset + tap] ?? 0) * (phase[tap] ?? 0);
  return Math.max(-32_768, Math.min(32_767, Math.round(sum)));
}

const NONE = new Float64Array(0);

/** A windowed sinc, as loud behind it as before although only every second value is a sample. */
function lowPass(): Float64Array {
  return Float64Array.from({ length: 2 * HALF + 1 }, (_, index) => {
    const at = index - HALF;
    const angle = (2 * Math.PI * CUTOFF_HZ * at) / COMMON_RATE;
    const sinc = at === 0 ? (2 * CUTOFF_HZ) / COMMON_RATE : Math.sin(angle) / (Math.PI * at);
    const window = bessel(KAISER_BETA * Math.sqrt(1 - (at / HALF) ** 2)) / bessel(KAISER_BETA);
    return UP * sinc * window;
  });
}

/** The modified Bessel function of order zero. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
