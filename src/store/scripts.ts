/** The Lua scripts that run inside of Redis, and the connection that has them as methods. Every script is idempotent. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster, Redis } from 'ioredis';
import type { Logger } from '../log.ts';
import { ASK_AGAIN_MS, isUnavailable } from './away.ts';

/** A connection, whatever it leads to. */
export type Client = Redis | Cluster;

/**
 * What a command does while Redis is away: `fail` (at once; on a Cluster within about a second), so that a client is told
 * to come back, or `wait` for its return, so that the result of work is not lost.
 */
export type WhenAway = 'fail' | 'wait';

type Script = (...args: (string | number)[]) => Promise<unknown>;

const SCRIPTS = [
  'commit',
  'fragments',
  'append',
  'history',
  'page',
  'add',
  'swap',
  'remove',
  'drop',
  'label',
  'holder',
  'abandon',
  'probe',
  'remind',
  'note',
  'trial',
  'untrial',
  'usage',
  'allowed',
  'unneed',
  'file',
  'unfile',
  'part',
  'endupload',
  'shelf',
  'host',
  'item',
  'takein',
  'takeout',
  'freeze',
  'thaw',
  'strike',
  'steer',
  'claim',
  'unclaim',
  'trace',
] as const;

type ScriptName = (typeof SCRIPTS)[number];

/** A connection that carries commands: ioredis plus our scripts, each called with its number of keys first. */
export type ScriptedRedis = Client & Readonly<Record<ScriptName, Script>>;

/** Adds the scripts to a connection. With `wait` a script is sent again until Redis answers it. */
export function withScripts(redis: Client, whenAway: WhenAway, log: Logger): ScriptedRedis {
  const script = (name: string): Script => {
    const send = defineScript(redis, name);
    return whenAway === 'wait' ? persistent(redis, send, log.child({ script: name })) : send;
  };
  const scripts = Object.fromEntries(SCRIPTS.map((name) => [name, script(name)]));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries forgets the names.
  return Object.assign(redis, scripts as Record<ScriptName, Script>);
}

const source = (name: string): string => readFileSync(new URL(`${name}.lua`, import.meta.url), 'utf8');

/** What all scripts may call. */
const PRELUDE = source('lost-run') + source('cold-thread');

function defineScript(redis: Client, name: string): Script {
  const command = `${name}.lua`;
  redis.defineCommand(command, { lua: PRELUDE + source(name) });
  return async (...args) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- defineCommand has just added it.
    const send = Reflect.get(redis, command) as Script;
    return send.apply(redis, args);
  };
}

/** Sends until there is an answer. Every script is idempotent, so one that was done without our hearing of it is harmless. */
function persistent(redis: Client, send: Script, log: Logger): Script {
  return async (...args) => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await send(...args);
      } catch (error) {
        if (!isUnavailable(error) || redis.status === 'end') throw error;
        if (tries === 1) log.debug({ err: error }, 'Redis refuses for now; sending again');
      }
      await delay(ASK_AGAIN_MS);
    }
  };
}
