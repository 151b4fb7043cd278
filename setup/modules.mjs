/**
 * node_modules: there, and what package-lock.json says; otherwise `npm ci`, with the npm that runs us. A start needs the
 * production packages only; tests need all of them.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readJson, ROOT, say } from './machine.mjs';

/** Silence longer than this looks like a process that hangs. */
const PROGRESS_MS = 10_000;
/** npm's own waits between its tries add up to minutes without a network. */
const IMPATIENT = ['--fetch-retries=2', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=5000'];
/** What npm and Node say when a registry cannot be reached. */
const UNREACHABLE = /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b/;

/**
 * @param {'start' | 'test' | 'import' | 'api' | 'worker'} purpose
 * @returns {Promise<string | null>} what is missing, in a sentence
 */
export async function prepareModules(purpose) {
  const lock = readJson(join(ROOT, 'package-lock.json'));
  const stale = whyStale(lock, installed(), purpose);
  if (stale === null) return null;
  say(`${stale}; running \`npm ci\`.`);
  // Said outright: a setting of the machine must not leave out the tools of the tests. Warnings would be about the machine's
  // Node, which only has to get us as far as the right one.
  const kinds = purpose === 'test' ? ['--include=dev'] : ['--omit=dev', '--omit=optional'];
  const failure = await npm(
    ['ci', ...kinds, '--no-audit', '--no-fund', '--loglevel=error'],
    packagesIn(lock, purpose),
  );
  if (failure !== null) return `the node modules are missing because \`npm ci\` ${failure}.`;
  const still = whyStale(lock, installed(), purpose);
  return still === null
    ? null
    : `the node modules are not what package-lock.json asks for, even after \`npm ci\`: ${still}.`;
}

/**
 * Runs npm in the repository, in this terminal, and says every few seconds that it is still at work.
 * @param {readonly string[]} args
 * @param {number} packages how many packages it is to install, roughly; 0 when that does not matter
 * @returns {Promise<string | null>} how it failed, as the end of a sentence
 */
export function npm(args, packages = 0) {
  const [command, first] = npmCommand();
  const child = spawn(command, [...first, ...args, ...IMPATIENT], {
    cwd: ROOT,
    stdio: ['inherit', 'inherit', 'pipe'],
  });
  const startedMs = performance.now();
  const progress = setInterval(() => {
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    const of = packages === 0 ? '' : ` (${countPackages()} of about ${packages} packages)`;
    say(`npm is still at work after ${seconds} s${of}.`);
  }, PROGRESS_MS);
  let said = '';
  child.stderr.on('data', (chunk) => {
    process.stderr.write(chunk);
    said += chunk;
  });
  return new Promise((resolve) => {
    child.on('error', (error) => {
      clearInterval(progress);
      resolve(`could not be started: ${error.message}`);
    });
    child.on('close', (code) => {
      clearInterval(progress);
      if (code === 0) resolve(null);
      else if (UNREACHABLE.test(said)) {
        resolve(
          'could not reach the package registry: connect this machine to the network (or set a proxy or mirror in ~/.npmrc) and run it again',
        );
      } else resolve('failed; what it printed above says why');
    });
  });
}

/** npm's own record of what it installed; written last, so an interrupted install has none. */
function installed() {
  return readJson(join(ROOT, 'node_modules', '.package-lock.json'));
}

/**
 * Why the modules have to be installed, or null when they are right.
 * @param {{ packages?: Record<string, object> } | null} lock package-lock.json
 * @param {{ packages?: Record<string, object> } | null} record node_modules/.package-lock.json
 * @param {'start' | 'test' | 'import' | 'api' | 'worker'} purpose
 */
function whyStale(lock, record, purpose) {
  if (record === null) return 'the node modules are not installed';
  const wanted = lock?.packages ?? {};
  const present = record.packages ?? {};
  for (const [path, { version, dev, optional, devOptional, peer, os }] of Object.entries(wanted)) {
    if (path === '' || optional || devOptional || peer || os || (dev && purpose !== 'test')) continue;
    if (present[path]?.version !== version) return `${nameOf(path)} ${version} is not installed`;
  }
  for (const [path, { version, os }] of Object.entries(present)) {
    if (wanted[path]?.version !== version) return `${nameOf(path)} ${version} is installed but not wanted`;
    if (Array.isArray(os) && !os.includes(process.platform)) return 'the node modules are for another system';
  }
  return null;
}

function packagesIn(lock, purpose) {
  const all = Object.entries(lock?.packages ?? {});
  return all.filter(([path, { dev, os }]) => path !== '' && !os && !(dev && purpose !== 'test')).length;
}

/** How many packages lie in node_modules now; what lies deeper is too little to matter. */
function countPackages() {
  try {
    const names = readdirSync(join(ROOT, 'node_modules')).filter((name) => !name.startsWith('.'));
    const inScope = (name) =>
      name.startsWith('@') ? readdirSync(join(ROOT, 'node_modules', name)).length : 1;
    return names.reduce((sum, name) => sum + inScope(name), 0);
  } catch {
    // npm has just removed it, or not made it yet.
    return 0;
  }
}

function nameOf(path) {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

/** The npm that runs this script, on the Node it runs on: node_modules/.bin/node is about to be replaced. */
function npmCommand() {
  const script = process.env.npm_execpath;
  if (script === undefined || !basename(script).startsWith('npm')) return ['npm', []];
  return [process.env.npm_node_execpath ?? process.execPath, [script]];
}
