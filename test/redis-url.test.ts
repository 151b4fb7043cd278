/** The forms of REDIS_URL: what each means, what is refused and how, and that no password is ever shown. */
import { describe, expect, test } from 'vitest';
import { ConfigError, readConfig, redacted } from '../src/config.ts';
import { parseRedisUrl, withoutRedisPassword } from '../src/redis-url.ts';

const OPEN = { username: null, password: null, tls: false };
const NO_FILE = 'there-is-no-such-file.json';
const SECRET = 's3cr3t';

describe('an address of Redis', () => {
  test.for([
    ['redis://127.0.0.1', { type: 'single', nodes: [{ host: '127.0.0.1', port: 6379 }], db: 0, ...OPEN }],
    ['redis://redis:6380/', { type: 'single', nodes: [{ host: 'redis', port: 6380 }], db: 0, ...OPEN }],
    ['redis://[::1]:6380/3', { type: 'single', nodes: [{ host: '::1', port: 6380 }], db: 3, ...OPEN }],
    [
      'redis+socket:///run/my%20redis/redis.sock',
      { type: 'socket', path: '/run/my redis/redis.sock', username: null, password: null },
    ],
    [
      'redis+socket://ann:pw@./.data/redis.sock',
      { type: 'socket', path: '.data/redis.sock', username: 'ann', password: 'pw' },
    ],
    [
      'rediss://ann:p%40s:s@r.example:1',
      {
        type: 'single',
        nodes: [{ host: 'r.example', port: 1 }],
        db: 0,
        username: 'ann',
        password: 'p@s:s',
        tls: true,
      },
    ],
    [
      'redis+sentinel://:pw@a,b:1,[::2]:2/main/4?sentinelPassword=p%26q',
      {
        type: 'sentinel',
        nodes: [
          { host: 'a', port: 26_379 },
          { host: 'b', port: 1 },
          { host: '::2', port: 2 },
        ],
        master: 'main',
        db: 4,
        sentinelPassword: 'p&q',
        ...OPEN,
        password: 'pw',
      },
    ],
    [
      'rediss+cluster://u:p@w@a:7001,b/',
      {
        type: 'cluster',
        nodes: [
          { host: 'a', port: 7001 },
          { host: 'b', port: 6379 },
        ],
        username: 'u',
        password: 'p@w',
        tls: true,
      },
    ],
  ] as const)('%s says where and how', ([text, address]) => {
    expect(parseRedisUrl(text)).toStrictEqual(address);
  });

  test.for([
    ['127.0.0.1:6379', 'must be an address'],
    [`http://u:${SECRET}@a`, 'must begin with redis://'],
    [`redis+ring://u:${SECRET}@a`, 'must begin with redis://'],
    [`redis://u:${SECRET}@a,b`, 'names several servers'],
    [`redis://u:${SECRET}@a/${SECRET}`, 'no database number'],
    [`redis://u:${SECRET}@a?${SECRET}=1`, 'parameter after the ?'],
    [`redis://u:${SECRET}@`, 'has a host that cannot be read'],
    [`redis://u:${SECRET}@a:99999`, 'has a host that cannot be read'],
    [`redis://u:${SECRET}%@a`, 'broken percent-encoding'],
    [`redis+sentinel://u:${SECRET}@a:1`, 'must name the master'],
    [`redis+sentinel://u:${SECRET}@a:1/m/x`, 'no database number'],
    [`redis+socket://u:${SECRET}@a/run/redis.sock`, 'must name the path of a socket'],
    [`redis+socket://u:${SECRET}@`, 'must name the path of a socket'],
    [`rediss+socket://u:${SECRET}@/run/redis.sock`, 'must begin with redis://'],
    [`redis+cluster://u:${SECRET}@a:1,/`, 'has a host that cannot be read'],
    [`redis+cluster://u:${SECRET}@a:1/0`, 'a Cluster has only one'],
  ] as const)('%s is refused at the start, in words that give nothing away', ([text, why]) => {
    const read = (): unknown => readConfig({ REDIS_URL: text }, NO_FILE);
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(`REDIS_URL: ${why.startsWith('a Cluster') ? 'names a database, but ' : ''}`);
    expect(read).toThrow(why);
    expect(read).not.toThrow(SECRET);
  });

  test.for([
    ['redis://127.0.0.1:6379', 'redis://127.0.0.1:6379'],
    [`redis://:${SECRET}@a/1`, 'redis://:redacted@a/1'],
    [
      `redis+sentinel://u:${SECRET}@a:1,b:2/m?sentinelPassword=${SECRET}`,
      'redis+sentinel://u:redacted@a:1,b:2/m?sentinelPassword=redacted',
    ],
    [`rediss+cluster://u:x@${SECRET}@a:1,b:2`, 'rediss+cluster://u:redacted@a:1,b:2'],
    [`redis+socket://:${SECRET}@/run/redis.sock`, 'redis+socket://:redacted@/run/redis.sock'],
    [SECRET, '[unreadable]'],
  ] as const)('%s is shown without its passwords', ([text, shown]) => {
    expect(withoutRedisPassword(text)).toBe(shown);
  });

  test('is logged without its passwords', () => {
    const REDIS_URL = `redis+sentinel://u:${SECRET}@a:1/m?sentinelPassword=${SECRET}`;
    expect(JSON.stringify(redacted(readConfig({ REDIS_URL }, NO_FILE)))).not.toContain(SECRET);
  });
});
