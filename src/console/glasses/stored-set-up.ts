/** What was typed into the device's app. It outlives the page, but not the tab: two tabs are two devices. */
import { store, stored } from '../stored.ts';
import type { SetUp } from './device.ts';

const NAME = 'longrun.glasses';
const WORD_LENGTH = 6;
const LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789';

export class StoredSetUp implements SetUp {
  get who(): string {
    return read('who') ?? '';
  }

  set who(name: string) {
    write('who', name.trim());
  }

  /** A word of its own, made up at first. */
  get device(): string {
    const known = read('device') ?? madeUp();
    write('device', known);
    return known;
  }

  set device(word: string) {
    write('device', word.trim() || madeUp());
  }

  get keepsThread(): boolean {
    return read('keeps-thread') === 'true';
  }

  set keepsThread(keeps: boolean) {
    write('keeps-thread', String(keeps));
  }

  get thread(): string | null {
    return this.keepsThread ? this.device : null;
  }
}

function madeUp(): string {
  const numbers = crypto.getRandomValues(new Uint8Array(WORD_LENGTH));
  return `glasses-${[...numbers].map((number) => LETTERS[number % LETTERS.length]).join('')}`;
}

const read = (name: string): string | null => stored(`${NAME}.${name}`, 'tab');
const write = (name: string, value: string): void => store(`${NAME}.${name}`, value, 'tab');
