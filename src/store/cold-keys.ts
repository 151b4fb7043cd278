/** The keys in Redis about cold threads, besides the mark that each has. All begin with the prefix of `RedisKeys`. */

export class ColdKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Sorted set: members `project/thread` of the threads that are cold, by their last use (unix ms). Written by {@link ThreadIndex}. */
  get threads(): string {
    return `${this.#prefix}:threads:cold`;
  }

  /** String: names this Redis to the database where cold threads lie. Written once, by {@link Freezer}. */
  get owner(): string {
    return `${this.#prefix}:threads:owner`;
  }

  /** String with expiry, empty: rows that nobody needs were looked for lately. */
  get tidied(): string {
    return `${this.#prefix}:threads:tidied`;
  }
}
