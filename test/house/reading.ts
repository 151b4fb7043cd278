/** The sources of a house, and who imports whom in them: read by ourselves, because a rule nobody can see failing is no rule. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';

export interface Import {
  readonly from: string;
  /** A path inside src for a relative import, the bare name of a package otherwise. */
  readonly to: string;
  readonly relative: boolean;
  /** Gone after type stripping. */
  readonly typeOnly: boolean;
}

export interface Source {
  /** Inside src, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

/** Every source file in `root`, with its imports. */
export function readHouse(root: string): Source[] {
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
export function code(text: string): string {
  return text.replace(/\/\*[^]*?\*\//g, '').replace(/(^|\s)(\/\/|--).*$/gm, '');
}

export function walk(folder: string): string[] {
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

/** The first circle found, as a path that ends where it began; empty when there is none. */
export function cycle(sources: readonly Source[]): string[] {
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

/** Whether it hands adapters in, and may import anything. */
export function isCompositionRoot(path: string): boolean {
  return basename(path) === 'main.ts' || ['demo.ts', 'worker/health.ts'].includes(path);
}
