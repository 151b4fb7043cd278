/** Which tool a model means: models write the names of tools with namespaces, blanks or brackets around them. Pure. */

/** What may stand between a namespace and a name: `functions.x`, `default_api:x`, `tools/x`, `mcp__server__x`. */
const NAMESPACE = /(?:[^\w-]|__)$/;
/** What names of tools do not have; models put blanks, quotes or brackets around a name. */
const AROUND = /^[^\w-]+|[^\w-]+$/g;

/**
 * The declared tool that a call names: the one of exactly that name, or else the only one whose name ends the written name
 * behind a separator. Null where none fits or more than one does.
 */
export function toolNamed(written: string, declared: ReadonlySet<string>): string | null {
  if (declared.has(written)) return written;
  const bare = written.replaceAll(AROUND, '');
  if (declared.has(bare)) return bare;
  const fitting = [...declared].filter(
    (name) => bare.endsWith(name) && NAMESPACE.test(bare.slice(0, bare.length - name.length)),
  );
  const [only] = fitting;
  return fitting.length === 1 && only !== undefined ? only : null;
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
