/** Who looks: the key that requests carry, for this tab, or on this machine where the reader wants it kept. */

const STORED = 'longrun.key';

export class Session {
  #key = sessionStorage.getItem(STORED) ?? localStorage.getItem(STORED);

  /** Null where none was given, which is enough where the server asks for none. */
  get key(): string | null {
    return this.#key;
  }

  /** @param kept whether the key outlives this tab */
  signIn(key: string, kept: boolean): void {
    this.signOut();
    (kept ? localStorage : sessionStorage).setItem(STORED, key);
    this.#key = key;
  }

  signOut(): void {
    sessionStorage.removeItem(STORED);
    localStorage.removeItem(STORED);
    this.#key = null;
  }
}
