/** What follows from the table of rooms: the table in AGENTS.md, and the lint rules that speak while one types. */
import { ROOMS } from './rooms.ts';

/** The table of AGENTS.md, in Markdown. */
export function agentsTable(): string {
  const rows = Object.entries(ROOMS).map(([room, { holds, mayImport }]) => {
    const allowed = mayImport.map((name) => (name === 'root' ? 'root files' : `\`${name}\``));
    const name = room === 'root' ? '`src/*.ts`' : `\`src/${room}\``;
    return `| ${name} | ${holds} | ${allowed.length === 0 ? 'itself' : allowed.join(', ')} |`;
  });
  return ['| Room | Holds | May import |', '|---|---|---|', ...rows].join('\n');
}

/** One override of .oxlintrc.json. */
export interface LintOverride {
  readonly files: readonly string[];
  readonly excludeFiles: readonly string[];
  readonly rules: Readonly<Record<string, unknown>>;
}

/** The overrides of .oxlintrc.json: of each room those rooms are out of bounds that it may not import. */
export function lintOverrides(): readonly LintOverride[] {
  const rooms = Object.keys(ROOMS).filter((room) => room !== 'root' && room !== 'api');
  return rooms.map((room) => {
    const allowed = ROOMS[room]?.mayImport ?? [];
    const out = rooms.filter((other) => other !== room && !allowed.includes(other));
    // What a room of rooms holds is reached by a shorter path from beside it. Paths that lead out of a room climb; a folder of
    // its own may have the name of another room.
    const group = out.map(
      (other) => `**/../${other.replace(/^api\//, room.startsWith('api/') ? '' : 'api/')}/**`,
    );
    const message = `src/${room} imports ${allowed.length === 0 ? 'only itself' : allowed.join(', ')} (test/house/rooms.ts).`;
    const paths = room === 'store' ? [] : ['ioredis', 'bullmq'];
    return {
      files: [`src/${room}/**`],
      excludeFiles: [`src/${room}/main.ts`],
      rules: { 'no-restricted-imports': ['error', { paths, patterns: [{ group, message }] }] },
    };
  });
}

/** A JSON text with comments in lines of their own, without them. */
export function uncommented(text: string): string {
  return text.replaceAll(/^\s*\/\/.*$/gm, '');
}
