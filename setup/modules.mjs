/** node_modules: there, and what package-lock.json says; otherwise `npm ci`, with the npm that runs us. */
import { basename, join } from 'node:path';
import { readJson, ROOT, run, say } from './machine.mjs';

/** @returns {string | null} what is missing, in a sentence */
export function prepareModules() {
  const stale = whyStale(readJson(join(ROOT, 'package-lock.json')), installed());
  if (stale === null) return null;
  say(`${stale}; running \`npm ci\`.`);
  const [command, args] = npm();
  // A production setting of the machine must not leave out Node 24 and the tools of the tests. Warnings would be about the
  // machine's Node, which only has to get us as far as the right one.
  if (!run(command, [...args, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'])) {
    return 'the node modules are missing because `npm ci` failed; what it printed above says why.';
  }
  const still = whyStale(readJson(join(ROOT, 'package-lock.json')), installed());
  return still === null
    ? null
    : `the node modules are not what package-lock.json asks for, even after \`npm ci\`: ${still}.`;
}

/** npm's own record of what it installed; written last, so an interrupted install has none. */
function installed() {
  return readJson(join(ROOT, 'node_modules', '.package-lock.json'));
}

/**
 * Why the modules have to be installed, or null when they are right.
 * @param {{ packages?: Record<string, object> } | null} lock package-lock.json
 * @param {{ packages?: Record<string, object> } | null} record node_modules/.package-lock.json
 */
function whyStale(lock, record) {
  if (record === null) return 'the node modules are not installed';
  const wanted = lock?.packages ?? {};
  const present = record.packages ?? {};
  for (const [path, { version, optional, devOptional, peer, os }] of Object.entries(wanted)) {
    if (path === '' || optional || devOptional || peer || os) continue;
    if (present[path]?.version !== version) return `${nameOf(path)} ${version} is not installed`;
  }
  for (const [path, { version, os }] of Object.entries(present)) {
    if (wanted[path]?.version !== version) return `${nameOf(path)} ${version} is installed but not wanted`;
    if (Array.isArray(os) && !os.includes(process.platform)) return 'the node modules are for another system';
  }
  return null;
}

function nameOf(path) {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

/** The npm that runs this script, on the Node it runs on: node_modules/.bin/node is about to be replaced. */
function npm() {
  const script = process.env.npm_execpath;
  if (script === undefined || !basename(script).startsWith('npm')) return ['npm', []];
  return [process.env.npm_node_execpath ?? process.execPath, [script]];
}
