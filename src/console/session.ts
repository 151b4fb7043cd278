/** Who looks: the key that requests carry, for this tab, or on this machine where the reader wants it kept. */
import { forget, store, stored } from './stored.ts';

const NAME = 'longrun.key';

export class Session {
  #key = stored(NAME, 'tab') ?? stored(NAME, 'machine');

  /** Null where none was given, which is enough where the server asks for none. */
  get key(): string | null {
    return this.#key;
  }

  /** @param kept whether the key outlives this tab */
  signIn(key: string, kept: boolean): void {
    this.signOut();
    store(NAME, key, kept ? 'machine' : 'tab');
    this.#key = key;
  }

  signOut(): void {
    forget(NAME, 'tab');
    forget(NAME, 'machine');
    this.#key = null;
  }
}
