/** One pino logger per process, JSON lines on stdout. Logs hold ids, sizes and times; never message text or keys. */
import { pino, type Logger } from 'pino';
import type { Config } from './config.ts';

export type { Logger };

const THROTTLED_MS = 10_000;
/** Paths that are masked, in case code logs a whole request or configuration by mistake. */
const SECRET_PATHS = [
  'apiKey',
  'adminKey',
  'secret',
  'authorization',
  'headers.authorization',
  'req.headers.authorization',
  'config.apiKey',
  'config.adminKey',
  'config.secret',
];

/** The logger of a process; `name` is the kind of process (api, worker, main). */
export function createLog(config: Pick<Config, 'logLevel'>, name: string): Logger {
  // When the reader of the log is gone, pino's own writer would try for ever and keep the process from ending.
  process.stdout.on('error', () => {});
  return pino(
    {
      name,
      level: config.logLevel,
      redact: { paths: SECRET_PATHS, censor: '[redacted]' },
      // An upstream's or library's error may quote a request, so only its name, message and stack are logged.
      serializers: { err: (error: unknown) => errorFields(error) },
    },
    process.stdout,
  );
}

/** `report`, but at most once in ten seconds: while a server is away, thousands of errors come. */
export function throttled<T extends unknown[]>(report: (...args: T) => void): (...args: T) => void {
  let lastMs = -Infinity;
  return (...args) => {
    const nowMs = performance.now();
    if (nowMs - lastMs < THROTTLED_MS) return;
    lastMs = nowMs;
    report(...args);
  };
}

function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: withoutWords(String(error)) };
  const { name } = error;
  // Node's JSON parser quotes the text that it could not read.
  const message = error instanceof SyntaxError ? placeIn(error.message) : withoutWords(error.message);
  // The stack begins with the message.
  const frames = error.stack?.match(/^ {4}at .*$/gm) ?? [];
  return { name, message, stack: [`${name}: ${message}`, ...frames].join('\n') };
}

/** Addresses without their paths and queries. */
function withoutWords(message: string): string {
  return message.replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/)(?:[^\s/@'"]*@)?([^\s/?#'"]+)[^\s'"]*/gi, '$1$2');
}

function placeIn(message: string): string {
  const place = /\bposition \d+/.exec(message)?.[0];
  return place === undefined ? 'text that cannot be parsed' : `text that cannot be parsed, at ${place}`;
}
