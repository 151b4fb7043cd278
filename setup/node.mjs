/**
 * Node 24 or newer: the machine's own, or the npm package `node`. Tests have that among their node modules; a start
 * without them gets it in a folder of its own, because most machines do not need its 120 MB.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { majorOf, output, readJson, ROOT, say } from './machine.mjs';
import { npm } from './modules.mjs';

const NEEDED = 24;
const FOLDER = join(ROOT, '.data', 'node');

/**
 * @param {'start' | 'test' | 'import' | 'api' | 'worker'} purpose
 * @returns {Promise<{ path?: string, problem?: string }>}
 */
export async function prepareNode(purpose) {
  // Ours may have lain in the node modules that were just replaced.
  if (majorOf(process.versions.node) >= NEEDED && existsSync(process.execPath))
    return { path: process.execPath };
  const found = find();
  if (found !== null) return found;
  const wanted = readJson(join(ROOT, 'package.json'))?.devDependencies?.node ?? `${NEEDED}`;
  const why = purpose === 'test' ? 'could not install its own' : await install(wanted);
  const installed = find();
  if (installed !== null) return installed;
  return {
    problem:
      `Node ${NEEDED} is missing (this machine has ${process.version}, and the npm package \`node\` ${why}): ` +
      `install Node ${NEEDED} (https://nodejs.org), or let npm run that package's install script with ` +
      `\`npm rebuild node@${wanted} --ignore-scripts=false\`.`,
  };
}

/** Not .bin/node: that is a link, and programs that look for what lies next to their node should find it. */
function find() {
  for (const folder of [ROOT, FOLDER]) {
    const path = join(folder, 'node_modules', 'node', 'bin', 'node');
    const version = output(path, ['--version']);
    if (majorOf(version) < NEEDED) continue;
    say(
      `this machine's Node is ${process.version}; using ${version} from ${folder === ROOT ? 'node_modules' : '.data/node'}.`,
    );
    return { path };
  }
  return null;
}

/** @returns {Promise<string>} what went wrong, where something did, as part of a sentence */
async function install(version) {
  say(`this machine's Node is ${process.version}; fetching Node ${version} from npm into .data/node.`);
  mkdirSync(FOLDER, { recursive: true });
  const quiet = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
  const failure = await npm([
    'install',
    `node@${version}`,
    '--prefix',
    FOLDER,
    '--ignore-scripts=false',
    ...quiet,
  ]);
  return failure ?? 'could not install its own';
}
