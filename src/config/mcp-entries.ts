/**
 * Entries of `mcpServers` as other MCP clients write them (Claude, Cline, Roo, Cursor, Windsurf, VS Code, Gemini, LM Studio,
 * Continue, Zed, Goose, Codex …), rewritten into ours before they are checked. What has no counterpart here is left out and
 * told; what would change which server is reached, or how, is not.
 */
import type { Env } from './env.ts';
import { fillIn } from './placeholders.ts';

type Entry = Readonly<Record<string, unknown>>;

/** Our entries, not checked yet; what the operator is told; and what keeps the service from starting. */
export interface ReadEntries {
  readonly entries: unknown;
  readonly notes: readonly string[];
  readonly problems: readonly string[];
}

/** Keys of ours. */
const KNOWN: ReadonlySet<string> = new Set([
  'type',
  'command',
  'args',
  'env',
  'envFrom',
  'cwd',
  'url',
  'headers',
  'headersEnv',
  'allow',
  'timeoutMs',
  'prefix',
]);

/** Other names of our keys. A list of the only tools to offer must not be lost. */
const SYNONYMS: Readonly<Record<string, string>> = {
  httpUrl: 'url',
  serverUrl: 'url',
  uri: 'url',
  transport: 'type',
  transportType: 'type',
  cmd: 'command',
  envs: 'env',
  environment: 'env',
  http_headers: 'headers',
  env_http_headers: 'headersEnv',
  includeTools: 'allow',
  allowedTools: 'allow',
  enabled_tools: 'allow',
};

/** Keys that hold an entry, or a part of one, whose own keys are meant: `requestInit.headers`, `transport.command`. */
const HOLDERS: readonly string[] = ['transport', 'command', 'requestInit', 'requestOptions'];

/** Names of transports, in small letters and without hyphens and underscores. */
const TRANSPORTS: Readonly<Record<string, 'http' | 'stdio' | 'sse'>> = {
  http: 'http',
  https: 'http',
  httpstream: 'http',
  remote: 'http',
  streamable: 'http',
  streamablehttp: 'http',
  stdio: 'stdio',
  local: 'stdio',
  sse: 'sse',
};

const SSE =
  'it speaks the older SSE transport, which this service does not. Many such servers answer streamable HTTP too, often at /mcp in place of /sse; then its type is "http"';

/** Other clients' names for `mcpServers` at the top of their files, and what they keep beside it; with what to do. */
export const FOREIGN_SETTINGS: Readonly<Record<string, string>> = {
  servers: 'This is how VS Code names mcpServers. Rename it to mcpServers.',
  context_servers: 'This is how Zed names mcpServers. Rename it to mcpServers.',
  extensions: 'This is how Goose names mcpServers. Rename it to mcpServers.',
  mcp: 'Put the servers in it under mcpServers.',
  inputs:
    'VS Code asks its user for these, and Longrun has nobody to ask. Set an environment variable for each, and write ${VARIABLE} in place of ${input:…}.',
};

/** Rewrites `given`, with the values of the environment that it names. */
export function readEntries(given: unknown, env: Env): ReadEntries {
  const notes: string[] = [];
  const problems: string[] = [];
  const ignored: string[] = [];
  const entries = Object.entries(byName(given)).flatMap(([name, entry]): [string, unknown][] => {
    if (!isEntry(entry)) return [[name, entry]];
    if (entry['disabled'] === true || entry['enabled'] === false) {
      notes.push(`mcpServers.${name} is left out, because it is disabled.`);
      return [];
    }
    const { ours, strange } = oursOf(entry);
    if (ours['type'] === 'sse') {
      notes.push(`mcpServers.${name} is left out: ${SSE}.`);
      return [];
    }
    if (strange.length > 0) ignored.push(`${strange.join(', ')} of ${name}`);
    const report = (key: string, problem: string): void =>
      void problems.push(`mcpServers.${name}.${key}: ${problem}`);
    return [[name, withValues(ours, env, report)]];
  });
  if (ignored.length > 0)
    notes.push(`mcpServers: keys that have no meaning here are ignored: ${ignored.join('; ')}.`);
  const isUsual = isEntry(given) || Array.isArray(given);
  return { entries: isUsual ? Object.fromEntries(entries) : given, notes, problems };
}

/** Some clients have a list of entries with a `name` in each. */
function byName(given: unknown): Entry {
  if (isEntry(given)) return given;
  if (!Array.isArray(given)) return {};
  return Object.fromEntries(
    given.map((entry: unknown, index) => {
      const { name = index, ...rest }: Record<string, unknown> = isEntry(entry) ? entry : { name: index };
      return [String(name), rest];
    }),
  );
}

/** The entry in our words, and its keys that have no counterpart. */
function oursOf(entry: Entry): { readonly ours: Entry; readonly strange: readonly string[] } {
  const ours: Record<string, unknown> = {};
  const strange: string[] = [];
  const take = (key: string, value: unknown): void => {
    if (value === null) return;
    const name = key === 'path' ? 'command' : (SYNONYMS[key] ?? key);
    // The first that is said counts, and our own name before others.
    if (KNOWN.has(name)) ours[name] = name === key ? value : (ours[name] ?? value);
  };
  for (const [key, value] of Object.entries(entry)) {
    if (HOLDERS.includes(key) && isEntry(value)) {
      for (const [inner, held] of Object.entries(value)) take(inner, held);
    } else if (key === 'env_keys' && Array.isArray(value)) {
      take('envFrom', Object.fromEntries(value.map((name: unknown) => [String(name), String(name)])));
    } else if (key === 'bearer_token_env_var') {
      take('headers', { Authorization: `Bearer \${${String(value)}}` });
    } else if (KNOWN.has(SYNONYMS[key] ?? key)) take(key, value);
    else if (!SILENT.has(key)) strange.push(key);
  }
  const { command, args, type } = ours;
  if (Array.isArray(command)) {
    const words = listIn(command);
    ours['command'] = words[0];
    ours['args'] = [...words.slice(1), ...listIn(args)];
  }
  if (typeof type === 'string') ours['type'] = TRANSPORTS[type.toLowerCase().replaceAll(/[-_]/g, '')] ?? type;
  return { ours: 'url' in ours ? withoutBlanks(ours) : ours, strange };
}

/** They say what is so anyway. */
const SILENT: ReadonlySet<string> = new Set(['disabled', 'enabled']);

/** Forms for entries leave empty fields of the other kind: a server with an address has no command. */
function withoutBlanks(entry: Entry): Entry {
  const isBlank = (value: unknown): boolean =>
    value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
  const others = new Set(['command', 'args', 'env', 'cwd']);
  return Object.fromEntries(
    Object.entries(entry).filter(([key, value]) => !others.has(key) || !isBlank(value)),
  );
}

/** The entry with texts for numbers, and with what its placeholders stand for. */
function withValues(entry: Entry, env: Env, report: (key: string, problem: string) => void): Entry {
  const own = new Set(
    [entry['env'], entry['envFrom']].flatMap((names) => (isEntry(names) ? Object.keys(names) : [])),
  );
  const filled = (key: string, value: unknown, isText = false): unknown =>
    fillIn(textOf(value), env, { isText, report: (problem) => report(key, problem) });
  return Object.fromEntries(
    Object.entries(entry).map(([key, value]): [string, unknown] => {
      if ((key === 'env' || key === 'headers') && isEntry(value)) {
        const values = Object.entries(value).filter(([, each]) => each !== null);
        return [
          key,
          Object.fromEntries(values.map(([name, each]) => [name, filled(`${key}.${name}`, each, true)])),
        ];
      }
      // A shell's script has variables of its own.
      if (key === 'args' && Array.isArray(value) && !isShell(entry))
        return [
          key,
          value.map((each, index) => (names(each, own) ? textOf(each) : filled(`args.${index}`, each))),
        ];
      return [key, ['url', 'command', 'cwd'].includes(key) ? filled(key, value) : value];
    }),
  );
}

/** Whether a text names a variable of the server's own environment, which the server fills in itself. */
function names(value: unknown, own: ReadonlySet<string>): boolean {
  return typeof value === 'string' && [...own].some((name) => value.includes(`\${${name}}`));
}

function isShell({ command, args }: Entry): boolean {
  return (
    /(^|\/)(?:ba|da|z|k|fi)?sh$/.test(String(command)) &&
    Array.isArray(args) &&
    args.some((each) => /^-\w*c$/.test(String(each)))
  );
}

/** Numbers and truth values, which environments and headers have as texts. */
function textOf(value: unknown): unknown {
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
}

const listIn = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function isEntry(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
