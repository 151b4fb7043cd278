/** The machine as the set-up sees it: its folders, its programs and how to run them. Decides nothing. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const BIN = join(ROOT, 'node_modules', '.bin');
/** Where Node keeps what it has compiled, types already stripped; every process of ours loads the same modules. */
export const COMPILE_CACHE = join(ROOT, 'node_modules', '.cache', 'node-compile');

/** Tells the person at the terminal. On stderr, so that what a command prints stays clean. */
export function say(sentence) {
  console.error(`longrun: ${sentence}`);
}

/** The absolute path of a program on PATH, or null. */
export function which(name, path = process.env.PATH ?? '') {
  for (const folder of path.split(delimiter).filter(Boolean)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      continue;
    }
  }
  return null;
}

/** Runs a command with the terminal's own output; true when it succeeded. */
export function run(command, args, env = {}) {
  const { status } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  return status === 0;
}

/** What a command prints, trimmed, or null when it cannot be run or fails. */
export function output(command, args) {
  const { status, stdout } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', timeout: 20_000 });
  return status === 0 ? stdout.trim() : null;
}

/** The JSON object in a file, or null when there is none. */
export function readJson(file) {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8'));
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

/** The first number of a version: 24 of `v24.21.0`. */
export function majorOf(version) {
  return Number(/\d+/.exec(version ?? '')?.[0] ?? 0);
}
