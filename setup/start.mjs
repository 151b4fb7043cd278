/** Runs a program of src with the right Node, in this terminal, until it ends. */
import { join, resolve } from 'node:path';
import { runChild } from './child.mjs';
import { ROOT } from './machine.mjs';

/**
 * @param {{ node: string, env: Record<string, string> }} tools
 * @returns {Promise<number>} the exit code
 */
export async function start(tools) {
  return run(tools, 'main.ts');
}

/**
 * One API process, for whoever runs the parts by themselves.
 * @param {{ node: string, env: Record<string, string> }} tools
 * @returns {Promise<number>} the exit code
 */
export async function api(tools) {
  return run(tools, 'api/main.ts');
}

/**
 * One worker process, likewise.
 * @param {{ node: string, env: Record<string, string> }} tools
 * @returns {Promise<number>} the exit code
 */
export async function worker(tools) {
  return run(tools, 'worker/main.ts');
}

async function run({ node, env }, file) {
  // Ctrl-C reaches it from the terminal, and through npm and us once more; it takes signals close together as one. The
  // channel says nothing; that it closes tells the child when this process is killed outright.
  const stdio = ['inherit', 'inherit', 'inherit', 'ipc'];
  const { code } = await runChild(node, [join(ROOT, 'src', file)], env, { stdio });
  return code;
}

/**
 * @param {{ node: string, env: Record<string, string> }} tools
 * @returns {Promise<number>} the exit code
 */
export async function importExports({ node, env }) {
  const files = process.argv.slice(3).map((file) => resolve(process.env.INIT_CWD ?? process.cwd(), file));
  const { code } = await runChild(node, [join(ROOT, 'src', 'import', 'main.ts'), ...files], env, {
    stdio: 'inherit',
  });
  return code;
}
