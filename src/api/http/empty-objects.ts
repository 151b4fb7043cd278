/**
 * Empty objects as PHP writes them: its empty array is `[]`, also where a request wants an object. What the check of a
 * request misses an object at, and finds `[]`, is `{}`. Where a list is wanted, the check misses nothing.
 */
import { isEmptyList } from '../../runs/schema-objects.ts';
import { valueAt, type Issue, type Path } from './issues.ts';

/**
 * Puts `{}` in place, inside `root`, where `issues` ask for an object and `root` has `[]`.
 * @returns the value to check again; null when nothing was to be done
 */
export function withEmptyObjects(
  issues: readonly Issue[],
  root: unknown,
): { readonly value: unknown } | null {
  const paths = issues.flatMap((issue) => wantedObjects(issue, root, []));
  if (paths.some((path) => path.length === 0)) return { value: {} };
  const filled = paths.filter((path) => fill(root, path));
  return filled.length === 0 ? null : { value: root };
}

/** Where an object is wanted, and `[]` is. */
function wantedObjects(issue: Issue, root: unknown, base: Path): readonly Path[] {
  const path = [...base, ...issue.path];
  if (issue.code === 'invalid_type')
    return wantsObject(issue) && isEmptyList(valueAt(root, path)) ? [path] : [];
  if (issue.code !== 'invalid_union') return [];
  // A branch that takes lists would complain of something else, or of nothing.
  const refused = issue.errors.every((branch) => branch.some(isOfWholeType));
  if (isEmptyList(valueAt(root, path))) return refused && issue.errors.flat().some(wantsObject) ? [path] : [];
  // Branches for another `type` have other fields.
  const meant = issue.errors.filter(
    (branch) => !branch.some((each) => isOfType(each) || isOfWholeType(each)),
  );
  return meant.flat().flatMap((each) => wantedObjects(each, root, path));
}

const wantsObject = (issue: Issue): boolean =>
  issue.code === 'invalid_type' && (issue.expected === 'object' || issue.expected === 'record');

const isOfWholeType = (issue: Issue): boolean =>
  issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');

const isOfType = ({ code, path }: Issue): boolean =>
  path.length === 1 && path[0] === 'type' && code === 'invalid_value';

function fill(root: unknown, path: Path): boolean {
  const parent = valueAt(root, path.slice(0, -1));
  const key = path.at(-1);
  if (typeof parent !== 'object' || parent === null || key === undefined) return false;
  return Reflect.set(parent, key, {});
}
