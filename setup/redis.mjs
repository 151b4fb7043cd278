/**
 * redis-server 7 or newer (or valkey-server, which is the same program under another name) on PATH; installed with apt-get
 * or Homebrew where it is missing. It is only run as a private server: no system service is used or needed.
 */
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { majorOf, output, readJson, ROOT, run, say, which } from './machine.mjs';

const NEEDED = 7;
const OTHERWISE = 'or give the address of a Redis you have: REDIS_URL=redis://host:6379 npm start';

/**
 * @param {'start' | 'test'} purpose tests always bring their own server; a start may be given one
 * @returns {{ folder?: string, problem?: string }} a folder for PATH, where one is needed
 */
export function prepareRedis(purpose) {
  if (purpose === 'start' && isGiven()) return {};
  if (find() === null) {
    const problem = install();
    if (problem !== null) return { problem };
  }
  const server = find();
  if (server === null)
    return { problem: `redis-server is missing, even after its package was installed; ${OTHERWISE}.` };
  const version = output(server, ['--version']);
  const number = /v=([\d.]+)/.exec(version ?? '')?.[1] ?? 'of an unknown version';
  if (majorOf(number) < NEEDED) {
    return {
      problem:
        `${server} is ${number}, but Redis ${NEEDED} or newer is needed: install it from https://redis.io/docs/latest/` +
        `operate/oss_and_stack/install/, ${OTHERWISE}.`,
    };
  }
  return server.endsWith('valkey-server') ? { folder: alias(server) } : {};
}

function find() {
  return which('redis-server') ?? which('valkey-server');
}

/** Whether somebody configured a Redis; src/config.ts says with more care when that is done wrong. */
function isGiven() {
  if (process.env.REDIS_URL) return true;
  const file = readJson(resolve(ROOT, process.env.LONGRUN_CONFIG || 'longrun.config.json'));
  return typeof file?.redisUrl === 'string';
}

/** @returns {string | null} what went wrong, in a sentence */
function install() {
  if (process.platform === 'darwin') {
    if (which('brew') === null) {
      return `redis-server is missing: install Homebrew (https://brew.sh) and start again, ${OTHERWISE}.`;
    }
    say('redis-server is missing; installing it with `brew install redis`.');
    return run('brew', ['install', 'redis'])
      ? null
      : `redis-server is missing: \`brew install redis\` failed; ${OTHERWISE}.`;
  }
  if (which('apt-get') === null) {
    return `redis-server is missing: install Redis ${NEEDED} or newer with your package manager, ${OTHERWISE}.`;
  }
  const root = process.getuid?.() === 0;
  if (!root && (which('sudo') === null || output('sudo', ['-n', 'true']) === null)) {
    return `redis-server is missing: run \`sudo apt-get install redis-server\` and start again, ${OTHERWISE}.`;
  }
  say(
    'redis-server is missing; installing it with `apt-get install redis-server`. The service it may start is not used.',
  );
  const apt = (...args) => {
    const command = [
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      'apt-get',
      '-qq',
      '-o',
      'Dpkg::Use-Pty=0',
      '-y',
      ...args,
    ];
    return root ? run(command[0], command.slice(1)) : run('sudo', ['-n', ...command]);
  };
  // The package lists of a fresh machine are empty or old, and fetching them takes longer than the package.
  if (apt('install', '--no-install-recommends', 'redis-server')) return null;
  if (apt('update') && apt('install', '--no-install-recommends', 'redis-server')) return null;
  return `redis-server is missing: \`apt-get install redis-server\` failed, what it printed above says why; ${OTHERWISE}.`;
}

/** Everything here calls the program redis-server. */
function alias(server) {
  const folder = join(ROOT, '.data', 'bin');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  rmSync(join(folder, 'redis-server'), { force: true });
  symlinkSync(server, join(folder, 'redis-server'));
  return folder;
}
