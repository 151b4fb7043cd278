/** Runs a program of src with the right Node, in this terminal, until it ends. */
import module from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runChild, watchNpm } from './child.mjs';
import { COMPILE_CACHE, ROOT } from './machine.mjs';

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

/** In this process where that is the right Node, because another one would only wait, in 50 MB. */
async function run({ node, env }, file) {
  const program = join(ROOT, 'src', file);
  const cache = process.env.NODE_COMPILE_CACHE || COMPILE_CACHE;
  const settings = { ...env, NODE_COMPILE_CACHE: cache };
  if (node === process.execPath) return become(program, settings);
  // Ctrl-C reaches it from the terminal, and through npm and us once more; it takes signals close together as one. The
  // channel says nothing; that it closes tells the child when this process is killed outright.
  const stdio = ['inherit', 'inherit', 'inherit', 'ipc'];
  const { code } = await runChild(node, [...process.execArgv, program], settings, { stdio });
  return code;
}

/** @returns {Promise<never>} because the program ends the process */
async function become(program, env) {
  Object.assign(process.env, env);
  // Node looks at the variable before our first line only; the children of the program find it there.
  module.enableCompileCache(env.NODE_COMPILE_CACHE);
  process.chdir(ROOT);
  process.argv = [process.execPath, program];
  watchNpm(() => process.kill(process.pid, 'SIGTERM'));
  await import(pathToFileURL(program).href);
  return new Promise(() => {});
}

/**
 * @param {{ node: string, env: Record<string, string> }} tools
 * @returns {Promise<number>} the exit code
 */
export async function importExports({ node, env }) {
  const there = (path) => resolve(process.env.INIT_CWD ?? process.cwd(), path);
  const args = process.argv.slice(3).map((arg) => {
    const [, option, folder] = /^(--files=)(.+)$/.exec(arg) ?? [];
    if (folder !== undefined) return option + there(folder);
    return arg.startsWith('--') ? arg : there(arg);
  });
  const { code } = await runChild(node, [join(ROOT, 'src', 'import', 'main.ts'), ...args], env, {
    stdio: 'inherit',
  });
  return code;
}
