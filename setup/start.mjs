/** Runs src/main.ts with the right Node, in this terminal, until it ends. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './machine.mjs';

const PARENT_CHECK_MS = 1_000;

/**
 * @param {{ node: string, env: Record<string, string> }} tools
 * @returns {Promise<number>} the exit code
 */
export function start({ node, env }) {
  // The channel says nothing; that it closes tells the child when this process is killed outright.
  const child = spawn(node, [join(ROOT, 'src', 'main.ts')], {
    cwd: ROOT,
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ...env },
  });
  // Ctrl-C reaches the child by itself, and through npm and us once more; it counts signals close together as one.
  const forward = (signal) => child.kill(signal);
  process.on('SIGINT', forward);
  process.on('SIGTERM', forward);
  stopWithNpm(() => forward('SIGTERM'));
  return new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(`longrun: ${node} could not be started: ${error.message}`);
      resolve(1);
    });
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/** An npm that is killed outright tells nobody; that somebody else has become our parent says so. */
function stopWithNpm(stop) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const npm = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === npm) return;
    clearInterval(timer);
    stop();
  }, PARENT_CHECK_MS);
  timer.unref();
}
