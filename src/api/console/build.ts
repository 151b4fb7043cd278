/**
 * The console as browsers take it, from its sources in src/console: types stripped, libraries beside it, everything compressed.
 * Runs in a thread of its own (assets.ts), because stripping and compressing would hold up the requests of a second or two.
 *
 * There is no bundler: browsers load modules themselves, under an address that names the version of all of them, so that each
 * is loaded once. An import map leads to the libraries; the page names all modules beforehand, so that none waits for another.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import { dirname, extname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** A file as it is sent. */
export interface Asset {
  readonly type: string;
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly gzip: Uint8Array<ArrayBuffer>;
  readonly brotli: Uint8Array<ArrayBuffer>;
}

export interface Assets {
  /** The page that every address of the console answers with. */
  readonly page: Asset;
  /** The digest of the page's only inline script, as a Content-Security-Policy names it. */
  readonly importMapDigest: string;
  /** By path below the base. */
  readonly files: ReadonlyMap<string, Asset>;
}

const SOURCES = fileURLToPath(new URL('../../console/', import.meta.url));
const FIRST_MODULE = 'main.ts';
/** Style sheets count in this order; those of the pages follow. */
const LIBRARY_STYLE = 'uplot/dist/uPlot.min.css';
const SHARED_STYLE = 'style.css';

/** The libraries: what the console's modules import, and where it lies in its package. */
const LIBRARIES = {
  'lit-html': 'lit-html/lit-html.js',
  'lit-html/': 'lit-html/',
  marked: 'marked/lib/marked.esm.js',
  uplot: 'uplot/dist/uPlot.esm.js',
  'eventsource-parser/stream': 'eventsource-parser/dist/stream.js',
} as const;

const TYPES: Readonly<Record<string, string>> = {
  '.ts': 'text/javascript; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.html': 'text/html; charset=utf-8',
};

/** @param base the path under which the files are served; their version follows it */
export function build(base: string): Assets {
  const texts = new Map<string, string>();
  const early = new Set<string>();
  take(FIRST_MODULE, texts, early);
  texts.set(LIBRARY_STYLE, readFileSync(packagePath(LIBRARY_STYLE), 'utf8'));
  for (const name of [SHARED_STYLE, ...ownFiles('.css', '.svg')]) texts.set(name, ownText(name));
  const styles = [...texts.keys()].filter((name) => extname(name) === '.css');

  const version = versionOf(texts);
  const root = `${base}/${version}`;
  const importMap = JSON.stringify({
    imports: Object.fromEntries(Object.entries(LIBRARIES).map(([name, path]) => [name, `${root}/${path}`])),
  });
  const files = [...texts].map(([name, text]) => [name, asset(name, text)] as const);
  return {
    page: asset('index.html', page(root, importMap, { styles, modules: [...early] })),
    importMapDigest: createHash('sha256').update(importMap).digest('base64'),
    files: new Map(files.map(([name, file]) => [`${version}/${name}`, file])),
  };
}

/**
 * Takes a module and all that it imports.
 * @param early takes those without which nothing can be shown; null while a module is taken that is imported when it is needed
 */
function take(name: string, texts: Map<string, string>, early: Set<string> | null): void {
  if (early?.has(name) === true || (early === null && texts.has(name))) return;
  early?.add(name);
  const text = texts.get(name) ?? moduleText(name);
  texts.set(name, text);
  for (const { specifier, isLater } of importsOf(text))
    take(resolved(specifier, name), texts, isLater ? null : early);
}

function moduleText(name: string): string {
  if (extname(name) === '.ts') return stripTypeScriptTypes(readFileSync(join(SOURCES, name), 'utf8'));
  // Maps of the libraries' sources are not served, so nobody may be sent to them.
  return readFileSync(packagePath(name), 'utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n');
}

const IMPORT = /(?:\bfrom\s*|\bimport\s*)["']([^"'\n]+)["']|(\bimport)\(\s*["']([^"'\n]+)["']\s*\)/g;

function* importsOf(text: string): Generator<{ readonly specifier: string; readonly isLater: boolean }> {
  // Examples in comments import nothing.
  const code = text.replace(/^\s*\*.*$/gm, '');
  for (const [, specifier = '', later, laterSpecifier = ''] of code.matchAll(IMPORT))
    yield { specifier: later === undefined ? specifier : laterSpecifier, isLater: later !== undefined };
}

/** The name of what a module imports: a path below src/console, or one in a package. */
function resolved(specifier: string, importer: string): string {
  if (specifier.startsWith('.')) return posix.join(dirname(importer), specifier);
  for (const [name, path] of Object.entries(LIBRARIES)) {
    if (specifier === name) return path;
    if (name.endsWith('/') && specifier.startsWith(name)) return path + specifier.slice(name.length);
  }
  throw new Error(
    `src/console/${importer} imports ${specifier}, which is not among the libraries of ${import.meta.url}`,
  );
}

/** Where a file of a package lies: in the first of the folders in which Node looks for packages. */
function packagePath(name: string): string {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const path = folders.map((folder) => join(folder, name)).find((place) => existsSync(place));
  if (path === undefined) throw new Error(`The console needs ${name}, which is not installed.`);
  return path;
}

/** The style sheet of a page's folder counts for the pages of that folder only: the frame names it. */
function ownText(name: string): string {
  const text = readFileSync(join(SOURCES, name), 'utf8');
  const folder = /^(.+)\/style\.css$/.exec(name)?.[1];
  return folder === undefined ? text : `[data-page='${folder}'] {\n${text}}\n`;
}

function ownFiles(...endings: readonly string[]): readonly string[] {
  return readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => endings.includes(extname(name)))
    .toSorted();
}

function versionOf(texts: ReadonlyMap<string, string>): string {
  const digest = createHash('sha256');
  for (const [name, text] of texts) digest.update(`${name}\n${text.length}\n${text}`);
  return digest.digest('hex').slice(0, 12);
}

/** What the page names: all that is needed before anything can be shown. */
interface Early {
  readonly styles: readonly string[];
  readonly modules: readonly string[];
}

function page(root: string, importMap: string, { styles, modules }: Early): string {
  const lines = [
    `<link rel="icon" href="${root}/icon.svg" type="image/svg+xml">`,
    ...styles.map((name) => `<link rel="stylesheet" href="${root}/${name}">`),
    `<script type="importmap">${importMap}</script>`,
    ...modules.map((name) => `<link rel="modulepreload" href="${root}/${name}">`),
    `<script type="module" src="${root}/${FIRST_MODULE}"></script>`,
  ];
  return readFileSync(join(SOURCES, 'index.html'), 'utf8').replace('<!-- assets -->', lines.join('\n    '));
}

function asset(name: string, text: string): Asset {
  const plain = Buffer.from(text);
  const type = TYPES[extname(name)] ?? 'application/octet-stream';
  return { type, plain, gzip: gzipSync(plain, { level: 9 }), brotli: brotliOf(plain) };
}

/** A window no larger than the file. Making the usual one, of 4 MB, takes twenty times as long as compressing a module. */
function brotliOf(plain: Buffer): Asset['brotli'] {
  const window = Math.max(constants.BROTLI_MIN_WINDOW_BITS, Math.ceil(Math.log2(plain.length + 1)));
  return brotliCompressSync(plain, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 9,
      [constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
      [constants.BROTLI_PARAM_LGWIN]: Math.min(constants.BROTLI_MAX_WINDOW_BITS, window),
    },
  });
}
