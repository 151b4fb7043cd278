/** A child that works in this terminal on our behalf: it hears what we are told, and its end is ours. */
import { spawn } from 'node:child_process';
import { ROOT } from './machine.mjs';

const PARENT_CHECK_MS = 1_000;

/**
 * Runs a program until it ends.
 * @param {string} program
 * @param {string[]} args
 * @param {Record<string, string>} env what its environment has besides ours
 * @param {import('node:child_process').SpawnOptions} options
 *   `detached` gives it a process group of its own, and every process in that group hears what we are told
 * @returns {Promise<{ code: number, wasTold: boolean }>} the exit code, and whether we were told to stop meanwhile
 */
export function runChild(program, args, env, options) {
  const child = spawn(program, args, { cwd: ROOT, env: { ...process.env, ...env }, ...options });
  let wasTold = false;
  const forward = (signal) => {
    wasTold = true;
    if (options.detached !== true) child.kill(signal);
    else if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal);
  };
  process.on('SIGINT', forward);
  process.on('SIGTERM', forward);
  const timer = watchNpm(() => forward('SIGTERM'));
  return new Promise((resolve) => {
    const end = (code) => {
      process.off('SIGINT', forward);
      process.off('SIGTERM', forward);
      clearInterval(timer);
      resolve({ code, wasTold });
    };
    child.on('error', (error) => {
      console.error(`longrun: ${program} could not be started: ${error.message}`);
      end(1);
    });
    child.on('exit', (code) => end(code ?? 1));
  });
}

/**
 * An npm that is killed outright tells nobody; that somebody else has become our parent says so.
 * @param {() => void} onGone
 * @returns the timer that looks, where npm started us
 */
export function watchNpm(onGone) {
  if (process.env.npm_lifecycle_event === undefined) return undefined;
  const npm = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === npm) return;
    clearInterval(timer);
    onGone();
  }, PARENT_CHECK_MS);
  return timer;
}
