/**
 * Slows down who guesses keys: wrong ones are answered ever later, by network address. Owns what is remembered of addresses,
 * in this process only, and never more of it than a set number.
 *
 * A right key is answered at once, whoever has guessed at its address. What makes guessing slow then is that an address has
 * only so many wrong answers on their way: beyond that its keys are refused without being compared, so that asking in
 * parallel does not help. Addresses from which a right key has come are excepted, or a guesser behind the same router or proxy would
 * lock everybody out; there, keys are compared, and wrong ones refused at once.
 */
import ipaddr from 'ipaddr.js';
import { tooManyWrongKeys } from '../errors.ts';

/** People mistype, and set up one device after the other. */
const FREE_GUESSES = 5;
const FIRST_DELAY_MS = 500;
/** With as many on their way as an address may have, 70,000 guesses a day; a short random key takes centuries. */
const MAX_DELAY_MS = 10_000;
const MAX_WAITING_PER_NETWORK = 8;
/** Each is an open connection. */
const MAX_WAITING = 1_000;
/** A few hundred bytes each. Who has more addresses than this begins anew with the oldest. */
const MAX_NETWORKS = 10_000;
/** An address that has been quiet for so long begins anew. */
const FORGOTTEN_AFTER_MS = 15 * 60_000;
/** One household or server has all addresses that begin with this many bits. */
const IPV6_NETWORK_BITS = 64;

interface Network {
  wrong: number;
  /** Wrong answers that are held back now; the client may have gone meanwhile, which wins it nothing. */
  waiting: number;
  hadRightKey: boolean;
  lastAtMs: number;
}

export class Guesses {
  /** The one that was heard of longest ago first. */
  readonly #networks = new Map<string, Network>();
  #waiting = 0;

  /** Before a key from `address` is compared. @throws {ApiError} 429 when too many wrong ones from there wait already. */
  admit(address: string): void {
    const network = this.#networks.get(networkOf(address));
    if (network !== undefined && !network.hadRightKey && network.waiting >= MAX_WAITING_PER_NETWORK)
      throw tooManyWrongKeys(MAX_DELAY_MS);
  }

  /** A right key came from `address`. */
  right(address: string): void {
    this.#heardOf(address).hadRightKey = true;
  }

  /**
   * A wrong key came from `address`. Resolves when it may be answered.
   * @throws {ApiError} 429, at once, when too many answers are held back already.
   */
  async wrong(address: string): Promise<void> {
    const network = this.#heardOf(address);
    network.wrong += 1;
    if (network.wrong <= FREE_GUESSES) return;
    if (network.waiting >= MAX_WAITING_PER_NETWORK || this.#waiting >= MAX_WAITING)
      throw tooManyWrongKeys(MAX_DELAY_MS);
    network.waiting += 1;
    this.#waiting += 1;
    const doublings = network.wrong - FREE_GUESSES - 1;
    // Not tied to the connection: hanging up early must not free the place for the next guess.
    await delay(Math.min(FIRST_DELAY_MS * 2 ** doublings, MAX_DELAY_MS));
    network.waiting -= 1;
    this.#waiting -= 1;
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#networks.size;
  }

  #heardOf(address: string): Network {
    const name = networkOf(address);
    const nowMs = performance.now();
    const known = this.#networks.get(name);
    const isFresh = known !== undefined && (known.waiting > 0 || nowMs - known.lastAtMs < FORGOTTEN_AFTER_MS);
    const network = isFresh ? known : { wrong: 0, waiting: 0, hadRightKey: false, lastAtMs: nowMs };
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

/** Whose address it is: itself, or for IPv6 the network that one customer is given. */
function networkOf(address: string): string {
  if (!ipaddr.IPv6.isValid(address)) return address;
  return ipaddr.IPv6.networkAddressFromCIDR(`${address}/${IPV6_NETWORK_BITS}`).toString();
}

/** Does not keep a process alive that is told to stop. */
async function delay(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}
