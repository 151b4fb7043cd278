/**
 * The rules of the house, checked against the sources themselves: who may import whom, how big a file may get, where the
 * environment, Redis and run statuses may be touched. It reads the imports on its own, because a rule nobody can see
 * failing is no rule; `readHouse` takes any folder, so that the last tests can show each check catching its sin.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const REPOSITORY = resolve(import.meta.dirname, '..');
const MAX_LINES = 400;
const VAGUE_FOLDERS = ['utils', 'helpers', 'common', 'services', 'controllers', 'types'];
const DRIVERS = ['ioredis', 'bullmq'];

/** Room → rooms and root files it may import besides itself. `root` is the files directly in src. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  root: ['runs', 'config'],
  config: [],
  runs: [],
  model: ['runs', 'errors.ts', 'log.ts'],
  tools: ['runs'],
  toolbox: ['runs', 'guard', 'errors.ts', 'log.ts'],
  guard: ['runs'],
  store: ['runs', 'errors.ts', 'log.ts', 'redis-url.ts'],
  worker: ['runs', 'store', 'root'],
  turns: ['runs', 'store', 'errors.ts', 'log.ts', 'memory.ts', 'seal.ts'],
  api: ['turns', 'runs', 'store', 'root'],
  local: ['root'],
  import: [],
};

interface Import {
  readonly from: string;
  /** A path inside src for a relative import, the bare name of a package otherwise. */
  readonly to: string;
  readonly relative: boolean;
  /** Gone after type stripping. */
  readonly typeOnly: boolean;
}

interface Source {
  /** Inside src, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

const roots: string[] = [];
afterAll(() => roots.forEach((root) => rmSync(root, { recursive: true, force: true })));

const house = readHouse(join(REPOSITORY, 'src'));

describe('the house', () => {
  test('is there to be checked', () => {
    expect(house.length).toBeGreaterThan(10);
    expect(house.flatMap((source) => source.imports).length).toBeGreaterThan(house.length);
  });

  test('every folder is a room of the table', () => expect(unknownRooms(house)).toEqual([]));
  test('rooms import only what the table lets them', () => expect(trespasses(house)).toEqual([]));
  test('nobody imports a composition root', () => expect(importedRoots(house)).toEqual([]));
  test('files do not import each other in a circle', () => expect(cycle(house)).toEqual([]));
  test('Redis and BullMQ are imported only by the store', () => expect(strayDrivers(house)).toEqual([]));
  test('relative imports name the file they mean', () => expect(looseImports(house)).toEqual([]));
  test('the environment is read only in config.ts', () => expect(environmentReaders(house)).toEqual([]));
  test('run statuses are compared only in runs/run.ts', () => expect(statusComparisons(house)).toEqual([]));
  test('every file begins by saying what it is', () => expect(headless(house)).toEqual([]));
  test(`no file is longer than ${MAX_LINES} lines`, () => expect(longFiles(house)).toEqual([]));
  test('no folder has a name that could hold anything', () => expect(vagueFolders(house)).toEqual([]));

  test('a file leans on two or three others, not on a crowd', () => {
    const files = house.filter(({ path }) => path.endsWith('.ts') && !isCompositionRoot(path));
    const leans = files.flatMap((file) => file.imports).filter((one) => one.relative && !one.typeOnly);
    expect(leans.length / files.length).toBeLessThanOrEqual(3);
  });

  test('no file of the repository points outside of it', () => {
    const outside = /(\.\.|work)\/shared\b/;
    const texts = walk(REPOSITORY).filter((path) =>
      /\.(ts|mjs|json|md|yml|lua|sh)$|\/[^.]+$|\.ci\//.test(path),
    );
    expect(texts.length).toBeGreaterThan(20);
    expect(texts.filter((path) => outside.test(readFileSync(path, 'utf8')))).toEqual([]);
  });
});

describe('a house that breaks a rule is caught', () => {
  const head = '/** A file. */\n';

  test('when the heart imports the store', () => {
    const broken = build({
      'runs/run.ts': `${head}import { a } from '../store/keys.ts';`,
      'store/keys.ts': head,
    });
    expect(trespasses(broken)).toEqual(['runs/run.ts → store/keys.ts']);
  });

  test('when an adapter reads the configuration, even for a type', () => {
    const broken = build({
      'model/openai.ts': `${head}import type { Config } from '../config.ts';`,
      'config.ts': head,
    });
    expect(trespasses(broken)).toEqual(['model/openai.ts → config.ts']);
  });

  test('when the API reaches into a tool, over a re-export or a dynamic import', () => {
    const text = `${head}export { a } from '../../tools/a.ts';\nawait import('../../worker/b.ts');`;
    const broken = build({ 'api/endpoints/runs.ts': text, 'tools/a.ts': head, 'worker/b.ts': head });
    expect(trespasses(broken)).toEqual([
      'api/endpoints/runs.ts → tools/a.ts',
      'api/endpoints/runs.ts → worker/b.ts',
    ]);
  });

  test('but its main.ts hands adapters in', () => {
    expect(trespasses(build({ 'worker/main.ts': `${head}import { a } from '../tools/a.ts';` }))).toEqual([]);
  });

  test('when somebody imports a main.ts', () => {
    expect(importedRoots(build({ 'local/a.ts': `${head}import { a } from '../main.ts';` }))).toHaveLength(1);
  });

  test('when three files import each other in a circle, but not when one of them only needs a type', () => {
    const files = {
      'runs/a.ts': `${head}import './b.ts';`,
      'runs/b.ts': `${head}import { c } from './c.ts';`,
    };
    expect(
      cycle(build({ ...files, 'runs/c.ts': `${head}import {\n  type A,\n  a,\n} from './a.ts';` })),
    ).toHaveLength(4);
    expect(cycle(build({ ...files, 'runs/c.ts': `${head}import {\n  type A,\n} from './a.ts';` }))).toEqual(
      [],
    );
  });

  test('when a driver is imported outside the store', () => {
    const text = `${head}import type { Redis } from 'ioredis';\nimport { Queue } from 'bullmq';`;
    expect(strayDrivers(build({ 'main.ts': text, 'store/redis.ts': text }))).toHaveLength(2);
  });

  test('when an import leaves out the ending', () => {
    expect(looseImports(build({ 'runs/run.ts': `${head}import { a } from './event';` }))).toHaveLength(1);
  });

  test('when the environment is read elsewhere', () => {
    const texts = [
      'process.env["X"]',
      'process\n  .env',
      "import { env } from 'node:process'",
      'const { env } = process',
    ];
    for (const text of texts)
      expect(environmentReaders(build({ 'log.ts': head + text })), text).toHaveLength(1);
    expect(
      environmentReaders(build({ 'config.ts': 'process.env', 'a.ts': '// process.env is read elsewhere' })),
    ).toEqual([]);
  });

  test('when a run status is compared elsewhere', () => {
    const texts = [
      `run.status === 'completed'`,
      `state.run.status !== other`,
      `switch (run.status) {`,
      `if (status === 'requires_action')`,
      `case 'cancelling':`,
      `['queued', 'x'].includes(status)`,
      `if run.status == 'queued' then`,
    ];
    for (const text of texts)
      expect(statusComparisons(build({ 'api/a.ts': head + text })), text).toHaveLength(1);
    const fine = `step.status === 'completed'; case 'run.queued': { status: 'queued' } isQueued(run) // status === 'queued'`;
    expect(statusComparisons(build({ 'api/a.ts': fine, 'runs/run.ts': texts.join('\n') }))).toEqual([]);
  });

  test('when a file has no head, too many lines, or a folder no name', () => {
    const broken = build({ 'store/utils/a.ts': `// A file.\n${'\n'.repeat(MAX_LINES)}`, 'stuff/b.ts': head });
    expect(headless(broken)).toEqual(['store/utils/a.ts']);
    expect(longFiles(broken)).toEqual([`store/utils/a.ts: ${MAX_LINES + 1} lines`]);
    expect(vagueFolders(broken)).toEqual(['store/utils/a.ts']);
    expect(unknownRooms(broken)).toEqual(['stuff/b.ts']);
  });
});

function unknownRooms(sources: readonly Source[]): string[] {
  return sources.map(({ path }) => path).filter((path) => !Object.hasOwn(MAY_IMPORT, roomOf(path)));
}

function trespasses(sources: readonly Source[]): string[] {
  const imports = sources.filter(({ path }) => !isCompositionRoot(path)).flatMap((source) => source.imports);
  return imports.filter((one) => one.relative && !isAllowed(one)).map(show);
}

function isAllowed({ from, to }: Import): boolean {
  // The one thing outside src that says something about the service: its name and version.
  if (to === '../package.json') return true;
  const room = roomOf(from);
  const allowed = MAY_IMPORT[room] ?? [];
  return roomOf(to) === room || allowed.includes(roomOf(to)) || allowed.includes(to);
}

function importedRoots(sources: readonly Source[]): string[] {
  const imports = sources.flatMap((source) => source.imports);
  return imports.filter((one) => one.relative && isCompositionRoot(one.to)).map(show);
}

/** The first circle found, as a path that ends where it began; empty when there is none. */
function cycle(sources: readonly Source[]): string[] {
  const next = new Map(
    sources.map(({ path, imports }) => [path, imports.filter((one) => one.relative && !one.typeOnly)]),
  );
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return [];
    for (const { to } of next.get(path) ?? []) {
      const found = visit(to, [...trail, path]);
      if (found.length > 0) return found;
    }
    done.add(path);
    return [];
  };
  for (const path of next.keys()) {
    const found = visit(path, []);
    if (found.length > 0) return found;
  }
  return [];
}

function strayDrivers(sources: readonly Source[]): string[] {
  const imports = sources.filter(({ path }) => roomOf(path) !== 'store').flatMap((source) => source.imports);
  return imports
    .filter(({ to }) => DRIVERS.some((driver) => to === driver || to.startsWith(`${driver}/`)))
    .map(show);
}

function looseImports(sources: readonly Source[]): string[] {
  return sources
    .flatMap((source) => source.imports.filter((one) => one.relative && !/\.(ts|json)$/.test(one.to)))
    .map(show);
}

function environmentReaders(sources: readonly Source[]): string[] {
  const reads = /\bprocess\s*\??\.\s*env\b|from 'node:process'|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/;
  return sources
    .filter(({ path, text }) => path !== 'config.ts' && reads.test(code(text)))
    .map(({ path }) => path);
}

/**
 * Comparing `run.status` with anything, or anything with a status that only runs have; steps and messages share the others,
 * and comparing those is their business.
 */
function statusComparisons(sources: readonly Source[]): string[] {
  const runOnly = `['"](queued|requires_action|cancelling)['"]`;
  const compares = new RegExp(
    [
      String.raw`\brun\.status\s*([!=]==?|~=)`,
      String.raw`([!=]==?|~=)\s*([\w.]+\.)?run\.status\b`,
      String.raw`switch\s*\([^)]*\brun\.status\s*\)`,
      String.raw`([!=]==?|~=)\s*${runOnly}`,
      String.raw`${runOnly}\s*([!=]==?|~=)`,
      String.raw`\bcase\s+${runOnly}`,
      String.raw`\[[^\]]*${runOnly}[^\]]*\]\s*\.includes\(`,
    ].join('|'),
  );
  return sources
    .filter(({ path, text }) => path !== 'runs/run.ts' && compares.test(code(text)))
    .map(({ path }) => path);
}

function headless(sources: readonly Source[]): string[] {
  return sources
    .map(({ path, text }) => (/^(\/\*\*|--)/.test(text) ? '' : path))
    .filter((path) => path !== '');
}

function longFiles(sources: readonly Source[]): string[] {
  const lines = (text: string): number => text.replace(/\n$/, '').split('\n').length;
  return sources
    .filter(({ text }) => lines(text) > MAX_LINES)
    .map(({ path, text }) => `${path}: ${lines(text)} lines`);
}

function vagueFolders(sources: readonly Source[]): string[] {
  return sources
    .map(({ path }) => path)
    .filter((path) =>
      dirname(path)
        .split('/')
        .some((folder) => VAGUE_FOLDERS.includes(folder)),
    );
}

function show({ from, to }: Import): string {
  return `${from} → ${to}`;
}

function roomOf(path: string): string {
  const [room = ''] = path.split('/');
  return path.includes('/') ? room : 'root';
}

function isCompositionRoot(path: string): boolean {
  return basename(path) === 'main.ts' || ['demo.ts', 'worker/health.ts'].includes(path);
}

/** Every source file in `root`, with its imports. */
function readHouse(root: string): Source[] {
  return walk(root)
    .filter((path) => /\.(ts|lua)$/.test(path))
    .map((path) => {
      const text = readFileSync(path, 'utf8');
      return {
        path: inside(root, path),
        text,
        imports: path.endsWith('.ts') ? readImports(root, path, text) : [],
      };
    });
}

function readImports(root: string, file: string, text: string): Import[] {
  const from = inside(root, file);
  const declared = [...text.matchAll(/^(?:import|export)\s+(?:([^'";]*?)\s+from\s+)?'([^']+)'/gm)];
  const dynamic = [...text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)];
  const resolved = (name: string, typeOnly: boolean): Import => {
    const isRelative = name.startsWith('.');
    return {
      from,
      to: isRelative ? inside(root, resolve(dirname(file), name)) : name,
      relative: isRelative,
      typeOnly,
    };
  };
  return [
    ...declared.map(([, clause = '', name = '']) => resolved(name, isTypeOnly(clause))),
    ...dynamic.map(([, name = '']) => resolved(name, false)),
  ];
}

/** `type { A }`, or braces in which every name is a type. */
function isTypeOnly(clause: string): boolean {
  if (/^type\b/.test(clause)) return true;
  const names =
    /^\{([^}]*)\}$/
      .exec(clause)?.[1]
      ?.split(',')
      .map((name) => name.trim())
      .filter(Boolean) ?? [];
  return names.length > 0 && names.every((name) => name.startsWith('type '));
}

/** The text without its comments, so that a rule may be talked about where it is kept. */
function code(text: string): string {
  return text.replace(/\/\*[^]*?\*\//g, '').replace(/(^|\s)(\/\/|--).*$/gm, '');
}

function walk(folder: string): string[] {
  const skipped = ['node_modules', '.git', '.data'];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (skipped.includes(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.isFile() ? [path] : [];
  });
}

function inside(root: string, path: string): string {
  return relative(root, path).split(sep).join('/');
}

/** A small house on disk that breaks a rule on purpose. */
function build(files: Readonly<Record<string, string>>): Source[] {
  const root = mkdtempSync(join(tmpdir(), 'longrun-house-'));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return readHouse(root);
}
