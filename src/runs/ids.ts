/** Ids and time for runs. Both are passed in wherever a test must be able to fix them. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const ID_LENGTH = 24;
/** The largest multiple of the alphabet's size below 256: bytes from here on would favour the first letters. */
const FAIR_BYTES = 256 - (256 % ALPHABET.length);

/** What an id begins with on the wire (the hosted API's ids are the prefix, `_` or for files `-`, and 24 alphanumerics). */
export type IdPrefix =
  | 'asst'
  | 'thread'
  | 'msg'
  | 'run'
  | 'step'
  | 'item'
  | 'call'
  | 'req'
  | 'file'
  | 'upload'
  | 'part'
  | 'vs'
  | 'vsfb';

/** Makes ids; the default is {@link newId}. */
export type NewId = (prefix: IdPrefix) => string;

/** Unix time in whole seconds, the unit of every timestamp on the wire. */
export type Clock = () => number;

/** A new random id, for example `run_` and 24 alphanumerics: 143 bits, so that ids cannot be guessed. */
export function newId(prefix: IdPrefix): string {
  return named(prefix, randomText(ID_LENGTH));
}

/**
 * Makes ids for a request; sent again, the request gets the same ids in the same order.
 * @param digestOf the digest of a text, at least 32 bytes
 */
export function namesFrom(nonce: string, digestOf: (text: string) => Uint8Array): NewId {
  let made = 0;
  return (prefix) => {
    let text = '';
    for (let round = 0; text.length < ID_LENGTH; round += 1)
      text += letters(digestOf(`${nonce} ${made} ${round}`));
    made += 1;
    return named(prefix, text.slice(0, ID_LENGTH));
  };
}

const named = (prefix: IdPrefix, text: string): string => `${prefix}${prefix === 'file' ? '-' : '_'}${text}`;

/** Drawn for many ids at a time: each draw costs more than all else about an id. */
const drawn = new Uint8Array(4_096);
let used = drawn.length;

/** `length` random alphanumerics, each letter equally likely. */
export function randomText(length: number): string {
  let text = '';
  while (text.length < length) {
    if (used === drawn.length) {
      crypto.getRandomValues(drawn);
      used = 0;
    }
    text += letter(drawn[used] ?? FAIR_BYTES);
    used += 1;
  }
  return text;
}

function letters(bytes: Uint8Array): string {
  return Array.from(bytes, letter).join('');
}

/** The letter of a byte; none for one that would not be fair. */
function letter(byte: number): string {
  return byte < FAIR_BYTES ? (ALPHABET[byte % ALPHABET.length] ?? '') : '';
}
