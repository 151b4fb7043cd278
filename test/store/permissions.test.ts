/** A Redis that lets us in half: certificates that nobody trusts, and users of an ACL. What to do is said in a sentence. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { CannotStart } from '../../src/cannot-start.ts';
import { openStore } from '../../src/store/open.ts';
import { runProgram } from '../clients/programs.ts';
import { freePort, startServer, type RedisProcess } from '../support/redis-process.ts';
import { startService } from '../support/service.ts';
import { FakeUpstream } from '../support/upstream.ts';
import { Wire } from '../support/wire.ts';
import { silent } from './fixture.ts';
import { MemoryRows } from './memory-rows.ts';

let folder: string;
let server: RedisProcess;
let tlsPort: number;
let admin: Redis;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'longrun-tls-'));
  const key = join(folder, 'key.pem');
  const certificate = join(folder, 'certificate.pem');
  const asked = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=redis';
  const named = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate];
  const made = await runProgram('openssl', [...asked.split(' '), ...named]);
  if (made.code !== 0) throw new Error(`openssl: ${made.stderr}`);
  tlsPort = await freePort();
  server = await startServer({
    'tls-port': String(tlsPort),
    'tls-cert-file': certificate,
    'tls-key-file': key,
    'tls-auth-clients': 'no',
  });
  admin = new Redis(server.port);
});
afterAll(async () => {
  admin.disconnect();
  await server.stop();
  await rm(folder, { recursive: true });
});

/** What keeps a process from opening the store at this address. */
async function refusal(redisUrl: string): Promise<unknown> {
  const kept = { redisPrefix: 'longrun', durability: 'local', logKeptS: 60, pageLimitBytes: 1e6 } as const;
  const opened = openStore({
    ...kept,
    redisUrl,
    whenAway: 'wait',
    coldRows: new MemoryRows(),
    log: silent,
    count: () => {},
  });
  return opened.then(
    async (store) => store.close(),
    (error: unknown) => error,
  );
}

describe('a certificate', () => {
  test('that nobody has signed is told, with what to set', async () => {
    const error = await refusal(`rediss://:secret@127.0.0.1:${tlsPort}`);
    expect(error).toBeInstanceOf(CannotStart);
    expect(String(error)).toContain(
      `rediss://:redacted@127.0.0.1:${tlsPort} shows a certificate that nobody signed`,
    );
    expect(String(error)).toContain('NODE_EXTRA_CA_CERTS');
  });
});

describe('a user of an ACL', () => {
  const user = async (...rules: readonly string[]): Promise<string> => {
    await admin.call('ACL', 'SETUSER', 'ann', 'reset', 'on', '>pass-word', ...rules);
    return `redis://ann:pass-word@127.0.0.1:${server.port}`;
  };

  test.each([
    ['without INFO', ['~*', '&*', '+@all', '-info'], '(info)'],
    ['without dangerous commands', ['~*', '&*', '+@all', '-@dangerous'], '(info)'],
    ['without TIME', ['~*', '&*', '+@all', '-time'], '(time)'],
    ['without scripts', ['~*', '&*', '+@all', '-@scripting'], '(eval)'],
    ['without sharded channels', ['~*', '&*', '+@all', '-spublish', '-ssubscribe'], '(spublish, ssubscribe)'],
    ['that only reads', ['~*', '&*', '+@all', '-@write'], '(del, getdel, incr, incrby, pexpire, set and 2'],
    ['of other keys', ['~other:*', '&*', '+@all'], '(its keys)'],
    ['without the keys of the queue', ['~longrun:*', '&*', '+@all'], '(get)'],
    ['of other channels', ['~*', 'resetchannels', '+@all'], '(publish, spublish, ssubscribe, subscribe)'],
  ])('%s is told what is missing, and how to grant it', async (_who, rules, missing) => {
    const error = await refusal(await user(...rules));
    expect(error).toBeInstanceOf(CannotStart);
    expect(String(error)).toContain(missing);
    expect(String(error)).toContain('Grant it there: ACL SETUSER ann ~longrun:*');
    expect(String(error)).not.toContain('pass-word');
  });

  test('with what is granted there is served, over TLS with a certificate that is trusted', async () => {
    const [grant = ''] = /ACL SETUSER ann .*$/.exec(String(await refusal(await user()))) ?? [];
    const upstream = await FakeUpstream.start();
    onTestFinished(() => upstream.stop());
    await admin.call('ACL', ...grant.split(' ').slice(1));
    const service = await startService({
      redisUrl: `rediss://ann:pass-word@127.0.0.1:${tlsPort}`,
      upstream,
      env: { NODE_EXTRA_CA_CERTS: join(folder, 'certificate.pem'), REDIS_PREFIX: 'longrun' },
    });
    onTestFinished(() => service.stop());
    const wire = new Wire(service.baseUrl);
    const { id: assistant_id } = await wire.ok('POST', '/assistants', { model: 'm' });
    const run = await wire.play(await wire.thread('hello'), { assistant_id });
    expect(run.status).toBe('completed');
  });
});
