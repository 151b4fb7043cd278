/** Who is an operator, in each way to tell whose a key is, and what that opens. */
import { describe, expect, test } from 'vitest';
import { expectRefusal } from '../support/refusal.ts';
import { Wire } from '../support/wire.ts';
import { withService } from '../support/with-service.ts';

const ADMIN_KEY = 'the key of the operators, and a long one';
const API_KEY = 'the key of the clients';
const SECRET = 'the secret of these tests';

/** What a caller is told at places that need an operator: statuses. */
async function seen(url: string, key: string | null): Promise<readonly number[]> {
  const wire = new Wire(`${url}/v1`, key === null ? {} : { authorization: `Bearer ${key}` });
  const replies = await Promise.all(
    ['/runs', '/runs?project=default', '/runs?project=another'].map(async (path) => wire.ask('GET', path)),
  );
  return replies.map(({ status }) => status);
}

const OPEN = [200, 200, 200];
const OWN = [200, 200, 403];
const OTHERS = [200, 403, 403];
const WRONG = [401, 401, 401];

describe.each([
  [{ AUTH: 'none' }, { none: OPEN, client: OPEN, admin: OPEN }],
  [
    { AUTH: 'none', ADMIN_KEY },
    { none: OWN, client: OWN, admin: OPEN },
  ],
  [
    { AUTH: 'key', API_KEY },
    { none: WRONG, client: OPEN, admin: WRONG },
  ],
  [
    { AUTH: 'key', API_KEY, ADMIN_KEY },
    { none: WRONG, client: OWN, admin: OPEN },
  ],
  [
    { AUTH: 'passthrough', SECRET },
    { none: WRONG, client: OTHERS, admin: OTHERS },
  ],
  [
    { AUTH: 'passthrough', SECRET, ADMIN_KEY },
    { none: WRONG, client: OTHERS, admin: OPEN },
  ],
])('with %j', (env, { none, client, admin }) => {
  /** Whether the key of the operators is one that a chat may be asked with. */
  const isRight = env.AUTH !== 'key' || 'ADMIN_KEY' in env;
  const { service, upstream } = withService({
    workers: isRight ? 1 : 0,
    env: { ...env, LOG_LEVEL: 'debug' },
  });

  test('operators see every project, others their own', async () => {
    expect(await seen(service.url, null)).toEqual(none);
    expect(await seen(service.url, API_KEY)).toEqual(client);
    expect(await seen(service.url, ADMIN_KEY)).toEqual(admin);
  });

  test('the key of the operators is no key of a model server, and is in no log', async () => {
    const wire = new Wire(service.baseUrl, { authorization: `Bearer ${ADMIN_KEY}` });
    const body = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };
    const { status } = await wire.ask('POST', '/chat/completions', { body });
    expect(status).toBe(isRight ? 200 : 401);
    const sent = upstream.requests.map(({ headers }) => headers.authorization);
    const isGiven = env.AUTH === 'passthrough' && !('ADMIN_KEY' in env);
    expect(sent.includes(`Bearer ${ADMIN_KEY}`)).toBe(isGiven);
    expect(JSON.stringify(service.logs)).not.toContain(ADMIN_KEY);
  });
});

describe('keys that are tried one after the other where any key is right', () => {
  const { service } = withService({ env: { AUTH: 'passthrough', SECRET, ADMIN_KEY }, workers: 0 });
  const ask = async (key: string) =>
    new Wire(service.baseUrl, { authorization: `Bearer ${key}` }).ask('GET', '/runs?project=another');

  test('are refused in words', async () => {
    const reply = await ask('guess');
    expect(reply.status).toBe(403);
    expectRefusal(reply, {
      status: 403,
      type: 'permission_error',
      code: 'operator_needed',
      message:
        "Only operators of this server may see this. Send the server's ADMIN_KEY as your API key; where none is set, its operator sets one and starts the API again.",
    });
  });

  test('are answered ever later, and then not at all, and the right one at once', async () => {
    const replies = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => (await ask(`guess ${index}`)).status),
    );
    expect(new Set(replies)).toEqual(new Set([403, 429]));
    expect((await ask(ADMIN_KEY)).status).toBe(200);
  });
});
