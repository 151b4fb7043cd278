/** MCP servers as tools: the reference server over both transports, and servers that do what no server should. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { createGuard } from '../../src/guard/fetch.ts';
import { ToolArgumentError, ToolError, type ToolFetch } from '../../src/runs/tool.ts';
import { checkedOutput } from '../../src/toolbox/output.ts';
import { closeSources, openHostile, openSource, type Opened } from './mcp-source.ts';

const EVERYTHING = fileURLToPath(
  import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'),
);

afterEach(closeSources);

const isReady = ({ source }: Opened) => source.health().status === 'ok';
const connected = (opened: Opened): Promise<unknown> => opened.until(() => isReady(opened));
const names = ({ source }: Opened): readonly string[] => source.tools().map(({ name }) => name);

/** Why it is unavailable, once a reason other than that it has just begun is known. */
const failure = ({ source, until }: Opened): Promise<string> =>
  until(() => {
    const health = source.health();
    return health.status === 'unavailable' && health.reason !== 'It is not connected yet.' && health.reason;
  });

const logged = ({ lines, until }: Opened, text: string): Promise<string> =>
  until(() => lines.find((line) => line.includes(text)));

async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** The reference server, started by a shell that says its pid on stderr; the server then takes its place. */
const everythingBy = ['-c', `echo "pid=$$" >&2; exec "${process.execPath}" "${EVERYTHING}" stdio`];

describe('the reference server over stdio', () => {
  const open = (): Opened =>
    openSource({ command: 'sh', args: everythingBy, prefix: undefined, name: 'all' });

  test('its tools can be called by prefixed names', async () => {
    const all = open();
    expect(all.source.health()).toMatchObject({ status: 'unavailable', reason: 'It is not connected yet.' });
    await connected(all);
    expect(all.source).toMatchObject({ type: 'mcp', from: 'all' });
    expect(all.tool('all_echo')).toMatchObject({
      parameters: { type: 'object', properties: { message: { type: 'string' } } },
      timeoutMs: 10_000,
    });
    expect(await all.call('all_echo', { message: 'hi' })).toBe('Echo: hi');
    expect(await all.call('all_get-sum', { a: 2, b: 40 })).toContain('42');
    expect(await all.call('all_get-structured-content', { location: 'Chicago' })).toStrictEqual({
      temperature: 36,
      conditions: 'Light rain / drizzle',
      humidity: 82,
    });
  });

  test('a picture becomes its type and size', async () => {
    const all = open();
    await connected(all);
    expect(await all.call('all_get-tiny-image')).toMatch(/\[image\/png, \d,\d{3} bytes left out\]/);
  });

  test('wrong arguments are refused here when they are no object, and by the server otherwise', async () => {
    const all = open();
    await connected(all);
    await expect(all.call('all_echo', ['hi'])).rejects.toThrow(ToolArgumentError);
    await expect(all.call('all_echo', { message: 7 })).rejects.toThrow(ToolError);
  });

  test('a call ends with its signal', async () => {
    const all = open();
    await connected(all);
    const reason = new Error('nobody waits');
    const abort = new AbortController();
    const long = all.call(
      'all_trigger-long-running-operation',
      { duration: 60, steps: 2 },
      { signal: abort.signal },
    );
    await all.call('all_echo', { message: 'the long one has begun' });
    abort.abort(reason);
    await expect(long).rejects.toBe(reason);
    expect(isReady(all)).toBe(true);
  });

  test('killed in the middle of a call it fails the call, is started again and answers', async () => {
    const all = open();
    await connected(all);
    const [, pid = ''] = /pid=(\d+)/.exec(await logged(all, 'pid=')) ?? [];
    const long = all.call('all_trigger-long-running-operation', { duration: 60, steps: 2 });
    await all.call('all_echo', { message: 'the long one has begun' });
    process.kill(Number(pid), 'SIGKILL');
    await expect(long).rejects.toThrow(
      new ToolError("The tool's server did not answer the call. It has ended the connection."),
    );
    expect(names(all)).toContain('all_echo');
    expect(await all.call('all_echo', { message: 'again' })).toBe('Echo: again');
    await all.source.close();
    expect(all.source.health()).toMatchObject({ status: 'unavailable', reason: 'It is closed.' });
  });
});

describe('the reference server over streamable HTTP', () => {
  const started: ChildProcess[] = [];
  afterEach(() => started.splice(0).forEach((child) => child.kill('SIGKILL')));

  async function freePort(): Promise<number> {
    const server = createServer();
    const port = await listen(server);
    server.close();
    return port;
  }

  /** Resolves when the server listens. */
  async function start(port: number): Promise<ChildProcess> {
    const child = spawn(process.execPath, [EVERYTHING, 'streamableHttp'], {
      env: { PORT: String(port) },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    started.push(child);
    for await (const line of createInterface({ input: child.stderr })) if (line.includes('listening')) break;
    return child;
  }

  const open = (port: number, fetch?: ToolFetch): Opened =>
    openSource({ url: `http://127.0.0.1:${port}/mcp`, headers: { authorization: 'Bearer k' } }, {}, fetch);

  test('its tools can be called, with the configured headers on every request', async () => {
    const port = await freePort();
    await start(port);
    const keys = new Set<string | null>();
    const all = open(port, async (url, init) => {
      keys.add(new Headers(init?.headers).get('authorization'));
      return globalThis.fetch(url, init);
    });
    await connected(all);
    expect(await all.call('echo', { message: 'hi' })).toBe('Echo: hi');
    expect(await all.call('get-sum', { a: 2, b: 40 })).toContain('42');
    expect(await all.call('get-tiny-image')).toContain('bytes left out]');
    await all.source.close();
    expect([...keys]).toStrictEqual(['Bearer k']);
  });

  test('a call ends with its signal', async () => {
    const port = await freePort();
    await start(port);
    const all = open(port);
    await connected(all);
    const abort = new AbortController();
    const long = all.call(
      'trigger-long-running-operation',
      { duration: 60, steps: 2 },
      { signal: abort.signal },
    );
    await all.call('echo', { message: 'the long one has begun' });
    abort.abort(new Error('nobody waits'));
    await expect(long).rejects.toThrow('nobody waits');
    expect(await all.call('echo', { message: 'on' })).toBe('Echo: on');
  });

  test('killed in the middle of a call it fails the call, and is found again when it is back', async () => {
    const port = await freePort();
    const first = await start(port);
    const all = open(port);
    await connected(all);
    const long = all.call('trigger-long-running-operation', { duration: 60, steps: 2 });
    await all.call('echo', { message: 'the long one has begun' });
    first.kill('SIGKILL');
    await expect(long).rejects.toThrow(ToolError);
    expect(await failure(all)).toMatch(/^It cannot be reached: E/);
    await start(port);
    expect(await all.call('echo', { message: 'again' })).toBe('Echo: again');
  });

  test('started anew between two calls it is greeted again, and the second call is answered', async () => {
    const port = await freePort();
    const first = await start(port);
    const all = open(port);
    await connected(all);
    expect(await all.call('echo', { message: 'one' })).toBe('Echo: one');
    first.kill('SIGKILL');
    await once(first, 'exit');
    await start(port);
    expect(await all.call('echo', { message: 'two' })).toBe('Echo: two');
  });

  test('a server that is not there is unavailable, and says so to callers', async () => {
    const all = open(await freePort());
    expect(await failure(all)).toBe('It cannot be reached: ECONNREFUSED.');
    expect(all.source.tools()).toStrictEqual([]);
  });

  test.each([302, 307])('an address that sends on to another (%i) is not followed there', async (status) => {
    let askedElsewhere = 0;
    const elsewhere = createHttpServer((_, response) => {
      askedElsewhere += 1;
      response.end('{}');
    });
    const location = `http://127.0.0.1:${await listen(elsewhere)}/mcp?token=marker`;
    const server = createHttpServer((_, response) => response.writeHead(status, { location }).end('marker'));
    const guard = createGuard({ allow: ['127.0.0.1'] });
    const all = open(await listen(server), guard.fetch);
    expect(await failure(all)).toBe(`It answered with HTTP status ${status}.`);
    expect(askedElsewhere).toBe(0);
    expect(all.lines.join('')).not.toContain('marker');
    await all.source.close();
    await guard.close();
    for (const one of [elsewhere, server]) one.close();
  });
});

describe('the process of a server', () => {
  test('gets what is configured, and of our environment nothing that may be a secret', async () => {
    process.env['LONGRUN_TEST_SECRET'] = 'sk-ours';
    try {
      const server = openHostile('tells', { env: { ITS_KEY: 'sk-its' } });
      await connected(server);
      const told = await server.call('tell', {}, { callId: 'call_7' });
      expect(JSON.stringify(told)).not.toContain('sk-ours');
      expect(told).toMatchObject({
        env: { ITS_KEY: 'sk-its', PATH: process.env['PATH'] },
        meta: { 'longrun/call_id': 'call_7' },
      });
    } finally {
      delete process.env['LONGRUN_TEST_SECRET'];
    }
  });

  /** Hears a server and the process that it has started: that both have come, and that both have ended. */
  async function watching(): Promise<{ port: number; came: Promise<void>; ended: Promise<number> }> {
    const came = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<number>();
    let here = 0;
    const watch = createServer((socket) => {
      here += 1;
      if (here === 2) came.resolve();
      socket.on('error', () => {});
      socket.resume().once('close', () => {
        here -= 1;
        if (here > 0) return;
        watch.close();
        ended.resolve(here);
      });
    });
    const port = await listen(watch);
    return { port, came: came.promise, ended: ended.promise };
  }

  const ROLES = [
    ['ignores being asked', 'stays'],
    ['goes without them', 'leaves'],
    ['has let them leave its group', 'frees'],
  ] as const;

  test.each(ROLES)('ends with the source, with all it has started, even when it %s', async (_, role) => {
    const { port, came, ended } = await watching();
    const server = openHostile('stays', { args: [role, String(port)] });
    await Promise.all([connected(server), came]);
    await server.source.close();
    expect(await ended).toBe(0);
  });

  test.each(ROLES)('ends with its owner, killed outright, even when it %s', async (_, role) => {
    const { port, came, ended } = await watching();
    const script = fileURLToPath(new URL('mcp-owner.ts', import.meta.url));
    const owner = spawn(process.execPath, [script, role, String(port)], { stdio: 'ignore' });
    await came;
    owner.kill('SIGKILL');
    expect(await ended).toBe(0);
  });

  test('is not there when the command is not', async () => {
    const server = openSource({ command: '/no/such/command' });
    expect(await failure(server)).toBe('It cannot be reached (ENOENT).');
  });

  test('that dies at once leaves its last words in the log, and is tried again', async () => {
    const server = openHostile('dies-at-start');
    expect(await failure(server)).toBe('It has ended the connection.');
    expect(await logged(server, 'no licence')).toContain('"level":20');
    await logged(server, '"failures":3');
  });

  test('that never says a word is given up, and can be closed before', async () => {
    const slow = openHostile('hangs-in-initialize');
    await slow.source.close();
    const server = openHostile('hangs-in-initialize', {}, { connectMs: 100 });
    expect(await failure(server)).toBe('It did not answer in time.');
  });
});

describe('a call', () => {
  test('that is not answered ends in time, and a server that is stuck is started again', async () => {
    const server = openHostile('hangs-in-call', { timeoutMs: 200 });
    await connected(server);
    await expect(server.call('wait')).rejects.toThrow('It did not answer in time.');
    expect(await failure(server)).toBe('It did not answer in time.');
    await connected(server);
  });

  test('waits for the connection only a moment, and not when nobody waits for it', async () => {
    const server = openHostile(
      'hangs-in-call',
      { timeoutMs: 200 },
      { waitMs: 50, firstPauseMs: 60_000, longestPauseMs: 60_000 },
    );
    await connected(server);
    await expect(server.call('wait')).rejects.toThrow(ToolError);
    await failure(server);
    await expect(server.call('wait')).rejects.toThrow("The tool's server is not available now.");
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(server.call('wait', {}, { signal })).rejects.toThrow('enough');
  });

  test.each([
    ['line', 'It wrote a message that is too long.'],
    ['garbage', 'It writes what are no messages.'],
  ])('that is answered by a flood (%s) ends the connection', async (what, reason) => {
    const server = openHostile('floods', { args: [what] });
    await connected(server);
    await expect(server.call('flood')).rejects.toThrow(ToolError);
    expect(await failure(server)).toBe(reason);
  });

  test('may be loud on stderr: a line without end is cut', async () => {
    const server = openHostile('floods', { args: ['stderr'] });
    await connected(server);
    expect(await server.call('flood')).toBe('');
    const line = await logged(server, 'xxx');
    expect(line.length).toBeLessThan(2_000);
    expect(isReady(server)).toBe(true);
  });
});

test('a server that repeats what it was sent tells it to nobody', async () => {
  const echoes = createHttpServer((request, response) => {
    const message = `bad key ${String(request.headers['x-key'])} at ${request.url ?? ''}`;
    request.setEncoding('utf8');
    let body = '';
    request.on('data', (text: string) => (body += text));
    request.on('end', () => {
      const id: unknown = Reflect.get(Object(JSON.parse(body || '{}')), 'id') ?? null;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -1, message } }));
    });
  });
  const url = `http://127.0.0.1:${await listen(echoes)}/mcp/sesame?token=sesame`;
  const server = openSource({ url, headers: { 'x-key': 'sesame' } });
  try {
    expect(await failure(server)).toBe('It refused, in words of its own.');
    // An operator who looks for the reason finds it.
    expect(await logged(server, 'bad key sesame')).toContain('"level":20');
  } finally {
    await server.source.close();
    echoes.close();
    echoes.closeAllConnections();
  }
});

describe('a server that lies', () => {
  test('has its bad tools left out, said in the log', async () => {
    const server = openHostile('lies');
    await connected(server);
    expect(names(server)).toStrictEqual([
      'good',
      'structured',
      'unstructured',
      'rubbish',
      'error',
      'refusal',
      'with_spaces_and_more',
      expect.stringMatching(/^with_spaces_and_more_[0-9a-f]{8}$/),
      expect.stringMatching(/^n{55}_[0-9a-f]{8}$/),
      'many-parts',
      'deep',
      expect.stringMatching(/^good_[0-9a-f]{8}$/),
    ]);
    expect(server.tool('good').description).toBe('天'.repeat(1_024));
    const reasons = server.lines
      .filter((line) => line.includes('left out'))
      .map((line): unknown => JSON.parse(line));
    expect(reasons).toMatchObject([
      { reason: 'invalid definition', count: 7 },
      { reason: 'named twice', count: 1 },
      { reason: 'schema of more than 32768 bytes', count: 1 },
      { reason: 'nested deeper than 64 levels', count: 1 },
      { reason: 'output schema that is none', count: 1 },
    ]);
    expect(await server.call('with_spaces_and_more')).toBe('called with spaces/and more');
  });

  test.each([
    ['structured', /output schema|must be number/],
    ['unstructured', /did not return structured content/],
    ['rubbish', "The tool's server did not answer the call. It did not answer as an MCP server does."],
    ['error', 'the disk is full'],
    ['refusal', "The tool's server did not answer the call. It says: No such folder."],
  ])('fails the call of %s, and no other', async (name, message) => {
    const server = openHostile('lies');
    await connected(server);
    const call = server.call(name);
    await expect(call).rejects.toThrow(ToolError);
    await expect(call).rejects.toThrow(message);
    expect(await server.call('good')).toBe('fine');
  });

  test('may answer with JSON of any depth: whoever runs the call refuses it', async () => {
    const server = openHostile('lies');
    await connected(server);
    const answer = await server.call('deep');
    expect(() => checkedOutput(answer, 1024 * 1024)).toThrow('nested deeper than 64 levels');
  });

  test('results of many parts become one text', async () => {
    const server = openHostile('lies');
    await connected(server);
    expect(await server.call('many-parts')).toBe(
      'one\n[audio/wav, 12,345 bytes left out]\ntwo\n[application/octet-stream, 3 bytes left out]\n[three: file:///c]',
    );
  });
});

describe('the list of tools', () => {
  test('follows the server, and stays as it is when it cannot be had', async () => {
    const server = openHostile('changes');
    await connected(server);
    await server.call('first');
    await server.until(() => names(server).includes('second'));
    expect(names(server)).toStrictEqual(['second']);
    await server.call('second');
    // A server's own words are for those who look for them.
    expect(await logged(server, 'lost the list')).toContain('"level":20');
    expect(await logged(server, 'cannot be listed')).toContain('in words of its own');
    expect(names(server)).toStrictEqual(['second']);
    expect(isReady(server)).toBe(true);
  });

  test('is cut at 128 of ten thousand on pages without end', async () => {
    const server = openHostile('crowded');
    await connected(server);
    expect(names(server)).toHaveLength(128);
    await logged(server, 'not read to its end');
    await logged(server, 'more than 128');
  });

  test('holds only what is allowed, by names the server knows', async () => {
    const server = openHostile('lies', { allow: ['error', 'nothing'], prefix: 'x_' });
    await connected(server);
    expect(names(server)).toStrictEqual(['x_error']);
    expect(await logged(server, 'does not offer')).toContain('"missing":["nothing"]');
  });
});
