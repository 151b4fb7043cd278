/**
 * `npm run house`: the house in figures; of another folder with its path, for comparison. With `--write` it brings what
 * follows from the table of rooms up to date: the table in AGENTS.md, and the lint rules.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { figuresOf, floorsOf } from './figures.ts';
import { agentsTable, lintOverrides } from './follow.ts';
import { readHouse } from './reading.ts';
import { roomOf } from './rooms.ts';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const [first = join(REPOSITORY, 'src')] = process.argv.slice(2).filter((word) => word !== '--write');

/** Files directly in src are nobody's room: they are leaned on, and lean on settings only. */
const roomButRoot = (path: string): string | null => (roomOf(path) === 'root' ? null : roomOf(path));

/** A folder of src/api, or a file directly in it. */
const roomInApi = (path: string): string | null => {
  const [room, folder] = path.split('/');
  return room === 'api' ? (folder ?? null) : null;
};

const house = readHouse(first);
const api = house.filter(({ path }) => path.startsWith('api/'));
process.stdout.write(
  `${JSON.stringify(
    {
      house: { ...figuresOf(house), ...floorsOf(house, roomButRoot) },
      api: { ...figuresOf(api), ...floorsOf(api, roomInApi) },
    },
    null,
    2,
  )}\n`,
);

if (process.argv.includes('--write')) {
  rewrite('AGENTS.md', (text) => text.replace(/\| Room \| Holds \|[^]*?\n(?=\n)/, `${agentsTable()}\n`));
  const rules = lintOverrides().map((override) => JSON.stringify(override));
  rewrite('.oxlintrc.json', (text) =>
    text.replace(
      /(\/\/ Rooms[^\n]*\n)[^]*?(\s*\/\/ End of rooms)/,
      (_, begin: string, end: string) => `${begin}${rules.join(',\n')},\n${end.trimStart()}`,
    ),
  );
}

function rewrite(name: string, change: (text: string) => string): void {
  const path = join(REPOSITORY, name);
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}
