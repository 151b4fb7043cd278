/** Settings of the API's server: where it listens, and which clients it accepts. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { list } from './list.ts';

/** More than any chain of proxies has; a larger number is a typing error. */
const MAX_HOPS = 32;

const TRUST_PROXY_FORMS = `must be how many proxies a request passes through (1 to ${MAX_HOPS}), or their addresses, separated by commas, such as 'loopback, 10.0.0.0/8'`;

export const webFields = {
  port: z.coerce.number().int().min(0).max(65535).default(8080),
  /** Loopback by default, because AUTH is none by default. */
  host: z.string().min(1).default('127.0.0.1'),
  /**
   * `none`: no key. `key`: one shared key. `passthrough`: the caller's key is the upstream's, and each key is a project.
   */
  auth: z.enum(['none', 'key', 'passthrough']).default('none'),
  apiKey: z.string().min(1).optional(),
  /** Whether the web console is served, at `/console` and, to browsers, at `/`. */
  console: z.stringbool().or(z.boolean()).default(true),
  /** The key of operators, who see every project. Without it everybody is one, but for callers with keys of their own. */
  adminKey: z.string().min(16, 'must have at least 16 characters').optional(),
  /** Origins of browser pages that may call the API, besides its own; `*` is every page. */
  corsOrigins: list(
    z
      .string()
      .toLowerCase()
      // Browsers leave out the default port.
      .transform((text) => text.replace(/\/$/, '').replace(/^(http:.*):80$|^(https:.*):443$/, '$1$2'))
      .refine((text) => text === '*' || /^[a-z][a-z\d+.-]*:\/\/(?:\*\.)?[^/\s*]+$/.test(text), {
        error:
          "must be origins such as 'https://chat.example.com' or 'https://*.example.com', separated by commas, or '*'",
      }),
  ).default([]),
  /** Names the API answers to, besides loopback ones; `*.example.com` is every name below it, `*` every name. */
  allowedHosts: list(
    z
      .string()
      .toLowerCase()
      .refine((text) => text === '*' || isIP(text) !== 0 || /^(\*\.)?[\w-]+(\.[\w-]+)*$/.test(text), {
        error:
          "must be host names or addresses without scheme, port and path, such as 'longrun.example.com' or '*.example.com', separated by commas, or '*'",
      }),
  ).default([]),
  /**
   * The proxies whose `X-Forwarded-For` is trusted: their number or their addresses. None by default, because any
   * client can send that header.
   */
  trustProxy: z
    .preprocess(
      (value) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value),
      z
        .union([z.number(), list(z.string())], { error: TRUST_PROXY_FORMS })
        .refine(isTrustable, { error: TRUST_PROXY_FORMS }),
    )
    .default([]),
};

type WebConfig = Readonly<z.infer<z.ZodObject<typeof webFields>>> & { readonly secret?: string | undefined };

/** Of a key that may be guessed at any speed: 128 bits in hexadecimal. */
const MIN_UNWATCHED_KEY_LENGTH = 32;

/** Reports settings that do not go together. */
export function checkWeb(config: WebConfig, report: (problem: string) => void): void {
  if (config.auth === 'none' && !isLoopback(config.host)) {
    report(
      `AUTH is none, which is allowed only on a loopback address, but HOST is ${config.host}. Set AUTH=key and API_KEY.`,
    );
  }
  if (config.auth === 'passthrough' && config.secret === undefined) {
    report("AUTH is passthrough, but SECRET is not set: callers' keys would lie in Redis in clear.");
  }
  if (
    config.auth === 'passthrough' &&
    config.adminKey !== undefined &&
    config.adminKey.length < MIN_UNWATCHED_KEY_LENGTH
  ) {
    report(
      `AUTH is passthrough, where guesses of ADMIN_KEY cannot be told from callers' keys and are not slowed down. Give ADMIN_KEY at least ${MIN_UNWATCHED_KEY_LENGTH} random characters: openssl rand -hex 24`,
    );
  }
  if (config.adminKey !== undefined && config.adminKey === config.apiKey) {
    report('ADMIN_KEY is the same as API_KEY, so every client would be an operator. Give it another value.');
  }
  if (config.auth === 'key' && config.apiKey === undefined) {
    report('AUTH is key, but API_KEY is not set. Set it to the key that clients must send.');
  }
}

/** Whether only this machine can reach a server that listens on `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function isTrustable(proxies: number | readonly string[]): boolean {
  if (typeof proxies !== 'number') return proxies.every(isAddressRange);
  return Number.isInteger(proxies) && 0 <= proxies && proxies <= MAX_HOPS;
}

/** express' names of ranges. */
const NAMED_RANGES = ['loopback', 'linklocal', 'uniquelocal'];

/** Whether express knows `text` as an address, a range (`10.0.0.0/8`) or one of its names for ranges. */
function isAddressRange(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  if (bits === undefined) return isIP(address) !== 0 || NAMED_RANGES.includes(address);
  const maxBits = isIP(address) === 6 ? 128 : 32;
  return rest.length === 0 && isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && 1 <= +bits && +bits <= maxBits;
}
