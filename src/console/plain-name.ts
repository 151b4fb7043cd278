/** Names that strangers have given. */

const DIRECTIONS = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A name without the characters that turn the direction of text around: they make `exe.png` of a program. */
export function plainName(name: string): string {
  return name.replace(DIRECTIONS, '�');
}
