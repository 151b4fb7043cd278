/**
 * What Longrun needs on this machine, looked for in order and installed where it is missing: Redis, node modules, Node 24.
 * Says what it does before it does it. What it cannot get becomes a sentence.
 */
import { delimiter, dirname } from 'node:path';
import { BIN, majorOf } from './machine.mjs';
import { prepareModules } from './modules.mjs';
import { prepareNode } from './node.mjs';
import { prepareRedis } from './redis.mjs';

const OLDEST_NODE = 20;

/**
 * @param {'start' | 'test' | 'import' | 'api' | 'worker'} purpose
 * @returns {Promise<{ tools: { node: string, env: Record<string, string> } | null, missing: string[] }>} the Node to
 *   run things with and the environment to run them in, or the sentences about what is missing
 */
export async function prepare(purpose) {
  if (process.platform === 'win32') {
    return { tools: null, missing: ['Windows is not supported: run this inside WSL (https://aka.ms/wsl).'] };
  }
  if (majorOf(process.versions.node) < OLDEST_NODE) {
    const sentence = `Node ${process.versions.node} is too old: install Node ${OLDEST_NODE} or newer (https://nodejs.org).`;
    return { tools: null, missing: [sentence] };
  }
  // First, because it may need a person with a password: nobody should wait for downloads to hear that. An import speaks to
  // a service that is running; an API or a worker alone has the Redis of the others.
  const redis = purpose === 'start' || purpose === 'test' ? prepareRedis(purpose) : {};
  if (redis.problem) return { tools: null, missing: [redis.problem] };
  const modules = await prepareModules(purpose);
  if (modules !== null) return { tools: null, missing: [modules] };
  const node = await prepareNode(purpose);
  if (node.problem) return { tools: null, missing: [node.problem] };

  const path = [dirname(node.path), BIN, redis.folder, process.env.PATH].filter(Boolean).join(delimiter);
  return { tools: { node: node.path, env: { PATH: path } }, missing: [] };
}
