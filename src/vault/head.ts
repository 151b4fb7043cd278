/** Reads the beginning of what is kept under a key, to see what it is. */
import type { Vault } from './vault.ts';

/** The first bytes of a key; fewer where there are not so many, null where there are none. */
export async function headOf(vault: Vault, key: string, bytes: number): Promise<Uint8Array | null> {
  const chunks = await vault.get(key, { first: 0, last: bytes - 1 });
  if (chunks === null) return null;
  const head = await Array.fromAsync(chunks);
  return Buffer.concat(head).subarray(0, bytes);
}
