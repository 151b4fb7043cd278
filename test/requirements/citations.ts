/** Citations of requirements, read from the sources of tests; and what can be wrong with them, or with the list they cite. */
import { readFileSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { walk } from '../house/reading.ts';
import type { Group, Requirement } from './requirement.ts';

/** A file of tests. */
export interface TestFile {
  /** Inside of the folder that was read, with `/`. */
  readonly path: string;
  readonly text: string;
}

interface Line {
  readonly where: string;
  readonly ids: readonly string[];
  /** A comment of the form that counts. */
  readonly isCitation: boolean;
  /** It stands directly above a test, or a group of them. */
  readonly isOverTest: boolean;
}

const CITATION = /^\s*\/\*\* Shows ([AR]-[A-Z]+-\d\d(?:, [AR]-[A-Z]+-\d\d)*)\. \*\/$/;
const LIKE_AN_ID = /\b[AR]-[A-Z]+-\d+\b/g;
/** One that is run: not `skip`, `todo` or `fails`, which show nothing. */
const TEST = /^\s*(?:test|describe)(?:\.(?:each|for|concurrent))*[<(]/;

/** Every file of tests in `root`, but for those of this folder, which speak of ids that are wrong on purpose. */
export function readTests(root: string): TestFile[] {
  return walk(root)
    .map((path) => ({ path, inside: relative(root, path).split(sep).join('/') }))
    .filter(({ inside }) => inside.endsWith('.test.ts') && !inside.startsWith('requirements/'))
    .map(({ path, inside }) => ({ path: inside, text: readFileSync(path, 'utf8') }));
}

/** Every line that names a requirement, or looks as if it did. */
function linesOf({ path, text }: TestFile): Line[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const ids = line.match(LIKE_AN_ID) ?? [];
    if (ids.length === 0) return [];
    const below = lines.slice(index).find((one) => !CITATION.test(one)) ?? '';
    const isCitation = CITATION.test(line);
    return [{ where: `${path}:${index + 1}`, ids, isCitation, isOverTest: TEST.test(below) }];
  });
}

function requirementsIn(groups: readonly Group[]): [string, Requirement][] {
  return groups.flatMap(({ requirements }) => Object.entries(requirements));
}

/** The requirements that some test cites. */
function citedIn(files: readonly TestFile[]): Set<string> {
  return new Set(
    files
      .flatMap(linesOf)
      .flatMap(({ isCitation, isOverTest, ids }) => (isCitation && isOverTest ? ids : [])),
  );
}

/** Requirements that no test shows, though they are to be met today. */
export function uncited(groups: readonly Group[], files: readonly TestFile[]): string[] {
  const cited = citedIn(files);
  return requirementsIn(groups)
    .filter(([id, { later }]) => later === undefined && !cited.has(id))
    .map(([id, { says }]) => `${id}: ${says}`);
}

/** Citations of what is not in the list. */
export function unknown(groups: readonly Group[], files: readonly TestFile[]): string[] {
  const known = new Set(requirementsIn(groups).map(([id]) => id));
  return files
    .flatMap(linesOf)
    .flatMap(({ where, ids }) => ids.filter((id) => !known.has(id)).map((id) => `${where}: ${id}`));
}

/** Citations that stand above no test, so that nothing would fail without them. */
export function misplaced(files: readonly TestFile[]): string[] {
  return files
    .flatMap(linesOf)
    .filter(({ isCitation, isOverTest }) => isCitation && !isOverTest)
    .map(({ where, ids }) => `${where}: ${ids.join(', ')}`);
}

/** Ids that are named in any other form than that of a citation, and would count for nothing. */
export function misspelt(files: readonly TestFile[]): string[] {
  return files
    .flatMap(linesOf)
    .filter(({ isCitation }) => !isCitation)
    .map(({ where, ids }) => `${where}: ${ids.join(', ')}`);
}

/** Requirements that are marked as not met yet, and that a test shows all the same. */
export function overtaken(groups: readonly Group[], files: readonly TestFile[]): string[] {
  const cited = citedIn(files);
  return requirementsIn(groups)
    .filter(([id, { later }]) => later !== undefined && cited.has(id))
    .map(([id]) => id);
}

/** What is not met yet, and whose refusal no requirement of today asks for. */
export function unrefused(groups: readonly Group[]): string[] {
  const today = new Set(
    requirementsIn(groups)
      .filter(([, { later }]) => later === undefined)
      .map(([id]) => id),
  );
  return requirementsIn(groups)
    .filter(([, { later }]) => later !== undefined && !today.has(later.refusedBy))
    .map(([id]) => id);
}

/** Ids of another group's form, or in the list twice; sentences that are none, or are there twice. */
export function malformed(groups: readonly Group[]): string[] {
  const sentences = new Set<string>();
  const ids = new Set<string>();
  return groups.flatMap(({ key, requirements }) =>
    Object.entries(requirements).flatMap(([id, { says, later }]) => {
      const isWrong =
        !new RegExp(`^[AR]-${key}-\\d\\d$`).test(id) ||
        ids.has(id) ||
        sentences.has(says) ||
        [says, later?.because].some((text) => text !== undefined && !/^[A-Z`].{10,}\.$/.test(text));
      ids.add(id);
      sentences.add(says);
      return isWrong ? [id] : [];
    }),
  );
}
