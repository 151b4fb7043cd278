/**
 * Slows down who guesses keys: wrong ones are answered ever later, by network address. Owns what is remembered of addresses,
 * in this process only, and never more of it than a set number.
 *
 * A right key is answered at once, whoever has guessed at its address. What makes guessing slow then is that an address has
 * only so many wrong answers on their way, and all addresses together: beyond that its keys are refused without being
 * compared, so that asking in parallel does not help. Addresses from which a right key has come lately are excepted, or a
 * guesser behind the same router or proxy would lock everybody out; there, keys are compared, and wrong ones refused at
 * once. Nothing slows guesses there: which request has the right key can only be known by comparing it.
 */
import ipaddr from 'ipaddr.js';
import { tooManyWrongKeys } from '../../errors.ts';

/** People mistype, and set up one device after the other. */
const FREE_GUESSES = 5;
const FIRST_DELAY_MS = 500;
/** With as many on their way as an address may have, 70,000 guesses a day; a short random key takes centuries. */
const MAX_DELAY_MS = 10_000;
const MAX_WAITING_PER_NETWORK = 8;
/** A household has not more programs whose keys were forgotten when one was changed. */
const REMEMBERED_WRONG = 4;
/** Each is an open connection. */
const MAX_WAITING = 1_000;
/** A few hundred bytes each. Who has more addresses than this begins anew with the oldest. */
const MAX_NETWORKS = 10_000;
/** An address that has been quiet for so long begins anew. */
const FORGOTTEN_AFTER_MS = 15 * 60_000;
/**
 * A right key makes its address an exception for so long; guesses at the same address do not prolong it. Programs that poll
 * and people who talk come again sooner.
 */
const RIGHT_FOR_MS = 15 * 60_000;

/** Whose an address may be. Each counts for itself, and the slowest decides. */
interface Scope {
  /** So many bits of an IPv6 address name it. */
  readonly bits: number;
  readonly freeGuesses: number;
  readonly maxWaiting: number;
}

/** One household or server: all addresses that begin with these bits; of IPv4 the address itself. */
const HOUSEHOLD: Scope = { bits: 64, freeGuesses: FREE_GUESSES, maxWaiting: MAX_WAITING_PER_NETWORK };
/** What one customer is given at most. Several households, too, where it is a provider's; they mistype as well. */
const SITE: Scope = { bits: 48, freeGuesses: 4 * FREE_GUESSES, maxWaiting: 2 * MAX_WAITING_PER_NETWORK };

interface Network {
  wrong: number;
  /** Wrong answers that are held back now; the client may have gone meanwhile, which wins it nothing. */
  waiting: number;
  /** When a right key last came from here, by the clock of {@link performance}; -Infinity for never. */
  rightAtMs: number;
  lastAtMs: number;
  /** Digests of the wrong keys that came last. Programs go on with a key that was changed; the same key again is no guess. */
  lastWrong: readonly string[];
}

export class Guesses {
  /** The one that was heard of longest ago first. */
  readonly #networks = new Map<string, Network>();
  /** Where a key is being looked up, and until when; for every address of a site, because they count together. */
  readonly #looking = new Map<string, Promise<void>>();
  #waiting = 0;

  /**
   * Looks up the key of a request from `address`, and counts it. A look-up may take its time: meanwhile further keys wait from
   * where no right one has come lately, so that each is counted before the next is compared.
   * @param digest tells keys apart
   * @returns what `look` found; null for a wrong key, as soon as it may be answered
   * @throws {ApiError} 429 where too many wrong ones wait already; and what `look` throws, which counts for nothing.
   */
  async check<T>(address: string, digest: string, look: () => Promise<T | null>): Promise<T | null> {
    const done = await this.#turn(address);
    let answerable: Promise<void> | null = null;
    try {
      const found = await look();
      if (found !== null) {
        this.right(address);
        return found;
      }
      answerable = this.wrong(address, digest);
    } finally {
      done();
    }
    await answerable;
    return null;
  }

  /** Waits until no key from there is being looked up. @returns what ends the turn */
  async #turn(address: string): Promise<() => void> {
    const site = networksOf(address).at(-1)?.name ?? address;
    for (;;) {
      this.admit(address);
      if (this.#hadRightKey(address)) return () => {};
      const before = this.#looking.get(site);
      if (before === undefined) break;
      await before;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#looking.set(site, promise);
    return () => {
      this.#looking.delete(site);
      resolve();
    };
  }

  /**
   * Before a key from `address` is compared.
   * @throws {ApiError} 429 when wrong ones from there would have to wait, and too many wait already: from there, or in all.
   */
  admit(address: string): void {
    if (this.#hadRightKey(address)) return;
    const isFull = this.#waiting >= MAX_WAITING;
    for (const { name, scope } of networksOf(address)) {
      const network = this.#networks.get(name);
      if (network === undefined || network.wrong < scope.freeGuesses || !this.#isFresh(network)) continue;
      if (isFull || network.waiting >= scope.maxWaiting) throw tooManyWrongKeys(MAX_DELAY_MS);
    }
  }

  /** A right key came from `address`. */
  right(address: string): void {
    // Not from all of its site, which may be a provider's.
    const [household] = networksOf(address);
    if (household !== undefined) this.#heardOf(household.name).rightAtMs = performance.now();
  }

  /**
   * A wrong key came from `address`. Resolves when it may be answered.
   * @param digest tells keys apart
   * @throws {ApiError} 429, at once, when too many answers are held back already.
   */
  async wrong(address: string, digest: string): Promise<void> {
    if (this.#isRepeated(address, digest)) return;
    const counted = networksOf(address).map(({ name, scope }) => ({ network: this.#heardOf(name), scope }));
    let delayMs = 0;
    let isFull = this.#waiting >= MAX_WAITING;
    for (const { network, scope } of counted) {
      network.wrong += 1;
      if (network.waiting >= scope.maxWaiting) isFull = true;
      delayMs = Math.max(delayMs, delayAfter(network.wrong - scope.freeGuesses));
    }
    if (delayMs === 0) return;
    if (isFull) throw tooManyWrongKeys(MAX_DELAY_MS);
    for (const { network } of counted) network.waiting += 1;
    this.#waiting += 1;
    // Not tied to the connection: hanging up early must not free the place for the next guess.
    await delay(delayMs);
    for (const { network } of counted) network.waiting -= 1;
    this.#waiting -= 1;
  }

  /** Whether this wrong key came from there a moment ago; remembers it. */
  #isRepeated(address: string, digest: string): boolean {
    const [household] = networksOf(address);
    if (household === undefined) return false;
    const network = this.#heardOf(household.name);
    if (network.lastWrong.includes(digest)) return true;
    network.lastWrong = [...network.lastWrong, digest].slice(-REMEMBERED_WRONG);
    return false;
  }

  /** How many networks are remembered. */
  get size(): number {
    return this.#networks.size;
  }

  #hadRightKey(address: string): boolean {
    const [household] = networksOf(address);
    const known = household === undefined ? undefined : this.#networks.get(household.name);
    return known !== undefined && performance.now() - known.rightAtMs < RIGHT_FOR_MS;
  }

  #isFresh({ waiting, lastAtMs }: Network): boolean {
    return waiting > 0 || performance.now() - lastAtMs < FORGOTTEN_AFTER_MS;
  }

  #heardOf(name: string): Network {
    const nowMs = performance.now();
    const known = this.#networks.get(name);
    const network =
      known !== undefined && this.#isFresh(known)
        ? known
        : { wrong: 0, waiting: 0, rightAtMs: -Infinity, lastAtMs: nowMs, lastWrong: [] };
    network.lastAtMs = nowMs;
    this.#networks.delete(name);
    this.#networks.set(name, network);
    if (this.#networks.size > MAX_NETWORKS) this.#forgetOldest();
    return network;
  }

  #forgetOldest(): void {
    for (const name of this.#networks.keys()) {
      this.#networks.delete(name);
      return;
    }
  }
}

/** How long the answer to the `nth` wrong key is held back that is no longer free. */
function delayAfter(nth: number): number {
  return nth < 1 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (nth - 1), MAX_DELAY_MS);
}

/** Whose address it is, narrowest first: itself, or for IPv6 the networks it lies in. */
function networksOf(address: string): readonly { readonly name: string; readonly scope: Scope }[] {
  if (!ipaddr.IPv6.isValid(address)) return [{ name: address, scope: HOUSEHOLD }];
  return [HOUSEHOLD, SITE].map((scope) => {
    const network = ipaddr.IPv6.networkAddressFromCIDR(`${address}/${scope.bits}`);
    return { name: `${network.toString()}/${scope.bits}`, scope };
  });
}

/** Does not keep a process alive that is told to stop. */
async function delay(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}
