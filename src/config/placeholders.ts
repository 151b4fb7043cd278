/** Placeholders that MCP clients know in their entries, and the environment variables that they stand for. */
import type { Env } from './env.ts';

/** `${NAME}`, `${NAME:-otherwise}`, `${env:NAME}`, `{env:NAME}`, `${{ secrets.NAME }}`; and `${input:id}`, which asks somebody. */
const PLACEHOLDER =
  /\$\{\{\s*secrets\.\w+\s*\}\}|\$?\{env:\w+\}|\$\{[A-Za-z_]\w*(?::-[^{}]*)?\}|\$\{[A-Za-z]+:[^{}]*\}/g;
/** `$NAME` in capitals, at the beginning of a word. Elsewhere a dollar sign is more likely part of a password. */
const BARE = /(?<=^|\s)\$([A-Z_][A-Z0-9_]*)(?=$|\s)/g;
/** Names that an editor fills in with places of its own. */
const EDITORS: ReadonlySet<string> = new Set(['workspaceFolder', 'workspaceRoot', 'fileDirname', 'cwd']);

interface Filling {
  /** Whether the value is a text for a server, where `$NAME` stands for a variable, too. */
  readonly isText: boolean;
  /** Hears of placeholders without a value. */
  readonly report: (problem: string) => void;
}

/** The text with its placeholders replaced; other values as they are. */
export function fillIn(value: unknown, env: Env, { isText, report }: Filling): unknown {
  if (typeof value !== 'string') return value;
  const variable = (name: string): string => {
    const found = env[name === 'userHome' ? 'HOME' : name];
    if (found) return found;
    report(
      EDITORS.has(name)
        ? `only an editor knows what \${${name}} is. Write it out.`
        : `the value should be in ${name}, which is not set.`,
    );
    return '';
  };
  const filled = value.replaceAll(PLACEHOLDER, (placeholder) => {
    const inner = placeholder.replace(/^\$?\{+\s*(?:env:|secrets\.)?/, '').replace(/\s*\}+$/, '');
    const [name = '', otherwise] = inner.split(':-');
    if (otherwise !== undefined) return env[name] || otherwise;
    if (/^\w+$/.test(name)) return variable(name);
    report(
      `nobody can be asked for ${placeholder}. Set an environment variable, and write \${VARIABLE} in its place.`,
    );
    return '';
  });
  return isText ? filled.replaceAll(BARE, (_all, name: string) => variable(name)) : filled;
}
