/**
 * Slows down clients that guess keys: answers to wrong keys are delayed more and more, by network address. Owns the
 * memory of addresses, which belongs to this process only and has a fixed size.
 *
 * A right key is answered at once, even if others have guessed from its address. Guessing is slow because each address, and
 * all addresses together, may have only so many delayed answers at a time. Beyond that, keys from an address are refused
 * without being compared, so parallel requests do not help. Addresses from which a right key has come lately are excepted;
 * otherwise a guesser behind the same router or proxy would lock out all its neighbours. There, keys are compared, and
 * wrong ones refused at once. Nothing slows guesses there, because only comparing shows which request has the right key.
 */
import ipaddr from 'ipaddr.js';
import { tooManyWrongKeys } from '../../errors.ts';

/** People mistype, and set up one device after another. */
const FREE_GUESSES = 5;
const FIRST_DELAY_MS = 500;
/**
 * With the most delayed answers that an address may have, this allows 70,000 guesses a day; a short random key takes
 * centuries.
 */
const MAX_DELAY_MS = 10_000;
const MAX_WAITING_PER_NETWORK = 8;
/** After a change of the key, a household hardly has more programs that still use an old one. */
const REMEMBERED_WRONG = 4;
/** Each delayed answer is an open connection. */
const MAX_WAITING = 1_000;
/** A few hundred bytes each. With more addresses than this, the oldest are forgotten and begin again. */
const MAX_NETWORKS = 10_000;
/** An address that has been quiet for this long begins again. */
const FORGOTTEN_AFTER_MS = 15 * 60_000;
/**
 * A right key excepts its address for this long, and guesses from the same address do not prolong it. Programs that
 * poll and people who talk come back sooner.
 */
const RIGHT_FOR_MS = 15 * 60_000;

/** How large a network an address may belong to. Each scope counts by itself, and the longest delay applies. */
interface Scope {
  /** The number of leading bits of an IPv6 address that identify it. */
  readonly bits: number;
  readonly freeGuesses: number;
  readonly maxWaiting: number;
}

/** One household or server: all IPv6 addresses that begin with these bits, or a single IPv4 address. */
const HOUSEHOLD: Scope = { bits: 64, freeGuesses: FREE_GUESSES, maxWaiting: MAX_WAITING_PER_NETWORK };
/**
 * The largest network that one customer is given. It may also be a provider's network with several households, which
 * mistype as well.
 */
const SITE: Scope = { bits: 48, freeGuesses: 4 * FREE_GUESSES, maxWaiting: 2 * MAX_WAITING_PER_NETWORK };

interface Network {
  wrong: number;
  /** How many answers are delayed now. A client that hangs up meanwhile still counts. */
  waiting: number;
  /** When a right key last came from here, by the clock of {@link performance}; -Infinity for never. */
  rightAtMs: number;
  lastAtMs: number;
  /** Digests of the last wrong keys. Programs keep using a key after it was changed; the same key again is not a guess. */
  lastWrong: readonly string[];
}

export class Guesses {
  /** The network with the oldest request comes first. */
  readonly #networks = new Map<string, Network>();
  /** The look-up under way for each site. Its addresses wait for each other, because they count together. */
  readonly #looking = new Map<string, Promise<void>>();
  #waiting = 0;

  /**
   * Looks up the key of a request from `address`, and counts it. A look-up may take time. Unless a right key has come
   * from this address lately, further keys wait meanwhile, so that each is counted before the next is compared.
   * @param digest tells keys apart
   * @returns what `look` found; null for a wrong key, as soon as it may be answered
   * @throws {ApiError} 429 where too many answers to wrong keys are delayed already; and what `look` throws, which is
   *   not counted.
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

  /** Waits until no key from the address's site is being looked up. @returns a function that ends the turn */
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
   * Checks whether a key from `address` may be compared.
   * @throws {ApiError} 429 when the answer to a wrong key would be delayed, and too many are delayed already: for that
   *   address, or in all.
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
    // Only for the household, not for its site, which may be a provider's.
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

  /** Whether this wrong key came from there recently; remembers it. */
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

/** How long to delay the answer to the `nth` wrong key after the free ones. */
function delayAfter(nth: number): number {
  return nth < 1 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (nth - 1), MAX_DELAY_MS);
}

/** The networks that an address counts for, narrowest first: itself for IPv4, its household and site for IPv6. */
function networksOf(address: string): readonly { readonly name: string; readonly scope: Scope }[] {
  if (!ipaddr.IPv6.isValid(address)) return [{ name: address, scope: HOUSEHOLD }];
  return [HOUSEHOLD, SITE].map((scope) => {
    const network = ipaddr.IPv6.networkAddressFromCIDR(`${address}/${scope.bits}`);
    return { name: `${network.toString()}/${scope.bits}`, scope };
  });
}

/** A delay that does not keep a stopping process alive. */
async function delay(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}
