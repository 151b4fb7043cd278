/** Which tool a model means: models write the names of tools with namespaces, blanks or brackets around them. Pure. */

/** What may stand between a namespace and a name: `functions.x`, `default_api:x`, `tools/x`, `mcp__server__x`. */
const NAMESPACE = /(?:[^\w-]|__)$/;
/** What names of tools do not have; models put blanks, quotes or brackets around a name. */
const AROUND = /^[^\w-]+|[^\w-]+$/g;

/** What models and parsers of their calls leave behind a name: its number, the marks of gpt-oss, or the arguments. */
const BEHIND = /:\d+$|\s*<\|[^<]*$|\(.*$/s;
/** More pieces than any parser leaves behind a name. */
const MAX_PIECES = 4;

/**
 * The declared tool that a call names: the one of exactly that name, or else the only one whose name ends the written name
 * behind a separator, less what does not belong to names. Null where none fits or more than one does.
 */
export function toolNamed(written: string, declared: ReadonlySet<string>): string | null {
  let rest = written;
  for (let pieces = 0; pieces <= MAX_PIECES; pieces++) {
    const fitting = fittingNames(rest, declared);
    const [only] = fitting;
    if (only !== undefined) return fitting.length === 1 ? only : null;
    const less = rest.replace(BEHIND, '');
    if (less === rest) return null;
    rest = less;
  }
  return null;
}

function fittingNames(written: string, declared: ReadonlySet<string>): readonly string[] {
  if (declared.has(written)) return [written];
  const bare = written.replaceAll(AROUND, '');
  if (declared.has(bare)) return [bare];
  return [...declared].filter(
    (name) => bare.endsWith(name) && NAMESPACE.test(bare.slice(0, bare.length - name.length)),
  );
}

/**
 * A name that every model server accepts. Any other name would stay in the thread's history, and servers would refuse
 * the whole thread.
 */
export function safeName(name: string): string {
  return name.replaceAll(/[^\w-]/g, '_').slice(0, 64);
}

/** The answer to a call that names no tool: it tells the model which there are. */
export function noSuchTool(name: string, offered: readonly string[]): unknown {
  const known = offered.map((one) => `'${one}'`).join(', ');
  return {
    error: `There is no tool '${name}'. There are: ${known}. Call one of those, or answer without.`,
  };
}
