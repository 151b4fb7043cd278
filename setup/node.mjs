/** Node 24 or newer: the machine's own, or the one that came with the node modules. */
import { join } from 'node:path';
import { majorOf, output, readJson, ROOT, say } from './machine.mjs';

const NEEDED = 24;

/** @returns {{ path?: string, problem?: string }} */
export function prepareNode() {
  if (majorOf(process.versions.node) >= NEEDED) return { path: process.execPath };
  // Not .bin/node: that is a link, and programs that look for what lies next to their node should find it.
  const path = join(ROOT, 'node_modules', 'node', 'bin', 'node');
  const version = output(path, ['--version']);
  if (majorOf(version) >= NEEDED) {
    say(`this machine's Node is ${process.version}; using ${version} from node_modules.`);
    return { path };
  }
  const wanted = readJson(join(ROOT, 'package.json'))?.devDependencies?.node ?? `${NEEDED}`;
  return {
    problem:
      `Node ${NEEDED} is missing (this machine has ${process.version}, and the \`node\` package could not install its own): ` +
      `install Node ${NEEDED} (https://nodejs.org), or let npm run that package's install script with ` +
      `\`npm rebuild node@${wanted} --ignore-scripts=false\`.`,
  };
}
