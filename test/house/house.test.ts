/**
 * The rules of the house, checked against the sources themselves: who may import whom, how big a file may get, where the
 * environment, Redis and run statuses may be touched. It reads the imports on its own, because a rule nobody can see
 * failing is no rule; `readHouse` takes any folder, so that the last tests can show each check catching its sin.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { agentsTable, lintOverrides, uncommented } from './follow.ts';
import { code, cycle, isCompositionRoot, readHouse, walk, type Import, type Source } from './reading.ts';
import { roomOf, ROOMS } from './rooms.ts';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const MAX_LINES = 400;
const VAGUE_FOLDERS = ['utils', 'helpers', 'common', 'services', 'controllers', 'types'];
const DRIVERS = ['ioredis', 'bullmq'];

const roots: string[] = [];
afterAll(() => roots.forEach((root) => rmSync(root, { recursive: true, force: true })));

const house = readHouse(join(REPOSITORY, 'src'));

/** The console is a program of its own: it runs in browsers, imports nothing of the house, and has its own words for what the API shows. */
const isConsole = ({ path }: Source): boolean => path.startsWith('console/');

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
  const rooms = house.filter((source) => !isConsole(source));
  test('the environment is read only in config.ts', () => expect(environmentReaders(rooms)).toEqual([]));
  test('run statuses are compared only in runs/run.ts', () => expect(statusComparisons(rooms)).toEqual([]));
  test('every file begins by saying what it is', () => expect(headless(house)).toEqual([]));
  test(`no file is longer than ${MAX_LINES} lines`, () => expect(longFiles(house)).toEqual([]));
  test('no folder has a name that could hold anything', () => expect(vagueFolders(house)).toEqual([]));
  test('no two types have one name', () => {
    expect(sharedNames(rooms)).toEqual([]);
    expect(sharedNames(house.filter(isConsole))).toEqual([]);
  });
  test('hooks are set by the files of tests, which share processes, and not by what they import', () => {
    const setting = walk(join(REPOSITORY, 'test')).filter(
      (file) =>
        /^(?:before|after)(?:All|Each)\(/m.test(readFileSync(file, 'utf8')) && !file.endsWith('.test.ts'),
    );
    // It is loaded for each file anew.
    expect(setting.map((file) => file.slice(REPOSITORY.length + 1))).toEqual([
      'test/support/nothing-left.ts',
    ]);
  });
  test('private members are written with #', () => expect(privateWords(house)).toEqual([]));

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

describe('the table of rooms', () => {
  test('is the one in AGENTS.md', () => {
    expect(readFileSync(join(REPOSITORY, 'AGENTS.md'), 'utf8')).toContain(agentsTable());
  });

  test('is the one by which the linter warns while one types', () => {
    const config: unknown = JSON.parse(uncommented(readFileSync(join(REPOSITORY, '.oxlintrc.json'), 'utf8')));
    const overrides: unknown = Object.entries(config ?? {}).find(([key]) => key === 'overrides')?.[1];
    for (const override of lintOverrides()) expect(overrides).toContainEqual(override);
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
    const broken = build({ 'api/chat/request.ts': text, 'tools/a.ts': head, 'worker/b.ts': head });
    expect(trespasses(broken)).toEqual([
      'api/chat/request.ts → tools/a.ts',
      'api/chat/request.ts → worker/b.ts',
    ]);
  });

  test('when one protocol imports another, or what knows no protocol imports one', () => {
    const broken = build({
      'api/agents/execute.ts': `${head}import { a } from '../chat/frames.ts';`,
      'api/http/sse.ts': `${head}import { a } from '../chat/frames.ts';`,
      'api/chat/frames.ts': head,
    });
    expect(trespasses(broken)).toEqual([
      'api/agents/execute.ts → api/chat/frames.ts',
      'api/http/sse.ts → api/chat/frames.ts',
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

  test('when two files have a type of one name, or a member is private by a word', () => {
    const broken = build({
      'store/a.ts': `${head}export interface Page {}\nclass Log {\n  private text = '';\n}`,
      'api/http/b.ts': `${head}type Page = string;\nclass Log2 {\n  private constructor() {}\n  #text = '';\n}`,
    });
    expect(sharedNames(broken)).toEqual(['Page: api/http/b.ts, store/a.ts']);
    expect(privateWords(broken)).toEqual(['store/a.ts']);
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
  return sources.map(({ path }) => path).filter((path) => !Object.hasOwn(ROOMS, roomOf(path)));
}

function trespasses(sources: readonly Source[]): string[] {
  const imports = sources.filter(({ path }) => !isCompositionRoot(path)).flatMap((source) => source.imports);
  return imports.filter((one) => one.relative && !isAllowed(one)).map(show);
}

function isAllowed({ from, to }: Import): boolean {
  // The one thing outside src that says something about the service: its name and version.
  if (to === '../package.json') return true;
  const room = roomOf(from);
  const allowed = ROOMS[room]?.mayImport ?? [];
  return roomOf(to) === room || allowed.includes(roomOf(to)) || allowed.includes(to);
}

function importedRoots(sources: readonly Source[]): string[] {
  const imports = sources.flatMap((source) => source.imports);
  return imports.filter((one) => one.relative && isCompositionRoot(one.to)).map(show);
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

/** A reader who meets a name should not have to ask which of two is meant. */
function sharedNames(sources: readonly Source[]): string[] {
  const files = new Map<string, string[]>();
  for (const { path, text } of sources) {
    const declared = text.matchAll(/^(?:export )?(?:abstract )?(?:interface|type|class|enum) (\w+)/gm);
    for (const [, name = ''] of declared) files.set(name, [...(files.get(name) ?? []), path]);
  }
  return [...files].flatMap(([name, paths]) => {
    const places = [...new Set(paths)].toSorted();
    return places.length > 1 ? [`${name}: ${places.join(', ')}`] : [];
  });
}

/** A constructor has no other way to be private. */
function privateWords(sources: readonly Source[]): string[] {
  return sources
    .filter(({ text }) => /^\s+private (?!constructor)/m.test(code(text)))
    .map(({ path }) => path);
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
