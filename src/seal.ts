/**
 * Seals secrets that go from the API to a worker through Redis: a caller's own upstream key, a device's sensitive
 * variables. Redis and its backups hold ciphertext only (AES-256-GCM under the operator's SECRET).
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { z } from 'zod';

/** The parts of a request that must not be stored in clear. */
export interface Secrets {
  /** The caller's key, when it is the upstream's. */
  readonly upstreamKey: string | null;
  readonly variables: Readonly<Record<string, string>>;
  /** The MCP servers of the request, by their labels. */
  readonly servers: Readonly<
    Record<string, { readonly url: string; readonly headers: Readonly<Record<string, string>> }>
  >;
}

const secretsSchema = z.object({
  upstreamKey: z.string().nullable(),
  variables: z.record(z.string(), z.string()),
  // Processes of older versions seal none.
  servers: z
    .record(z.string(), z.object({ url: z.string(), headers: z.record(z.string(), z.string()) }))
    .default({}),
});

const textSchema = z.object({ text: z.string(), project: z.string() });

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class Seal {
  readonly #key: Buffer;

  /** @param secret the operator's SECRET; the same in the API and in every worker */
  constructor(secret: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'longrun seal v1', 32));
  }

  close(secrets: Secrets): string {
    return this.#close(JSON.stringify(secrets));
  }

  /** Seals a text that a client is to keep and bring back; it can be opened for the same project only. */
  closeText(text: string, project: string): string {
    return this.#close(JSON.stringify({ text, project }));
  }

  /** The text that {@link closeText} sealed; null for anything else, such as what another server or project has sealed. */
  openText(sealed: string, project: string): string | null {
    try {
      const kept = textSchema.parse(JSON.parse(this.#open(sealed)));
      return kept.project === project ? kept.text : null;
    } catch {
      return null;
    }
  }

  #close(clear: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    const sealed = Buffer.concat([cipher.update(clear, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
  }

  /** @throws when it was sealed under another secret, or changed. */
  open(sealed: string): Secrets {
    return secretsSchema.parse(JSON.parse(this.#open(sealed)));
  }

  #open(sealed: string): string {
    const bytes = Buffer.from(sealed, 'base64');
    const nonce = bytes.subarray(0, NONCE_BYTES);
    // Without an explicit length, a shortened tag would be accepted.
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const clear = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    return clear.toString('utf8');
  }
}
