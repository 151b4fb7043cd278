/** Answers on their way: what nobody takes is counted, kept for a while, and given up; who reads slowly gets it all. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import express from 'express';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Call } from '../../src/api/http/call.ts';
import { json, toHandler, type Answer } from '../../src/api/http/endpoint.ts';
import { HeldBytes } from '../../src/api/http/held.ts';
import { Sockets } from '../../src/api/http/web-socket.ts';

const MIB = 1024 * 1024;
/** More than the system takes from a server whose client does not read. */
const LARGE = 24 * MIB;
const IDLE_MS = 1_000;

/** A server whose time stands still, and its answers. */
async function serving(handle: (call: Call) => Promise<Answer> | Answer, limitBytes: number) {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const answers = new HeldBytes(limitBytes);
  const log = pino({ level: 'silent' });
  const heartbeatMs = 60_000;
  const sockets = new Sockets({ messageLimitBytes: MIB, messagesLimitBytes: MIB, answers, heartbeatMs });
  const options = { log, strictParameters: false, heartbeatMs, answers, idleMs: IDLE_MS, sockets };
  const app = express();
  const responses: ServerResponse[] = [];
  app.use((_request, response, next) => {
    responses.push(response);
    next();
  });
  for (const method of ['GET', 'POST'] as const)
    app[method === 'GET' ? 'get' : 'post']('/', toHandler({ method, path: '/', handle }, options));
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  /** A client that asks, and reads when it is told to. */
  const ask = async (method = 'GET'): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1' }).pause();
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    const before = responses.length;
    socket.write(`${method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
    while (responses.length === before) await turn();
    return socket;
  };
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { answers, ask, responses };
}

/** Lets I/O happen until `is` holds. */
async function until(is: () => boolean): Promise<void> {
  while (!is()) await turn();
}

/** Lets I/O happen until nothing more of it comes. */
async function still(bytes: () => number): Promise<void> {
  for (let before = -1, turns = 0; turns < 20; turns = bytes() === before ? turns + 1 : 0) {
    before = bytes();
    await turn();
  }
}

const firstOf = async (socket: Socket): Promise<string> => {
  const came: readonly unknown[] = await once(socket.resume().setEncoding('utf8'), 'data');
  return String(came[0]);
};

const readAll = async (socket: Socket): Promise<string> => {
  let all = '';
  for await (const chunk of socket.setEncoding('latin1')) {
    all += String(chunk);
    if (all.length >= LARGE) break;
  }
  return all;
};

describe('an answer that nobody reads', () => {
  test('counts until it is taken, and is given up when nothing of it is taken for too long', async () => {
    const { answers, ask, responses } = await serving(() => json('x'.repeat(LARGE)), MIB);
    await ask();
    await still(() => answers.bytes);
    expect(answers.bytes).toBeGreaterThan(0);
    vi.advanceTimersByTime(IDLE_MS - 1);
    expect(responses[0]?.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    await until(() => responses[0]?.closed === true);
    expect(answers.bytes).toBe(0);
  });

  test('leaves room for one, and others come back later; small ones pass', async () => {
    const sizes = [LARGE, LARGE, 10];
    const { answers, ask } = await serving(() => json('x'.repeat(sizes.shift() ?? 0)), MIB);
    await ask();
    await still(() => answers.bytes);
    const [second, third] = [await ask(), await ask()];
    expect(await firstOf(second)).toMatch(
      /^HTTP\/1\.1 503 [^]*retry-after: 1\r\n[^]*"code":"too_many_answers"/,
    );
    expect(await firstOf(third)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('of a request that has changed something is lost like any answer of a broken connection', async () => {
    const { answers, ask, responses } = await serving(() => json('x'.repeat(LARGE)), MIB);
    await ask();
    await still(() => answers.bytes);
    await ask('POST');
    await until(() => responses[1]?.closed === true);
    expect(responses[1]?.headersSent).toBe(false);
  });

  test('is refused before it is made', async () => {
    const made: string[] = [];
    const handle = (call: Call): Answer => {
      call.admit(LARGE);
      made.push('one');
      return json('x'.repeat(LARGE));
    };
    const { answers, ask } = await serving(handle, MIB);
    await ask();
    await still(() => answers.bytes);
    const refused = await ask();
    await once(refused.resume(), 'data');
    expect(made).toStrictEqual(['one']);
  });
});

test('a client that reads slowly gets all of it, however long that takes', async () => {
  const { answers, ask, responses } = await serving(() => json('x'.repeat(LARGE)), MIB);
  const socket = await ask();
  let seen = 0;
  let waits = 0;
  while (seen < LARGE) {
    await still(() => answers.bytes);
    vi.advanceTimersByTime(IDLE_MS - 1);
    waits += 1;
    let read = 0;
    while (read < 4 * MIB && seen < LARGE) {
      const chunk: unknown = socket.read();
      if (Buffer.isBuffer(chunk)) [read, seen] = [read + chunk.length, seen + chunk.length];
      else await turn();
    }
  }
  expect(waits).toBeGreaterThan(3);
  await until(() => responses[0]?.closed === true);
  expect(responses[0]?.writableFinished).toBe(true);
  expect(answers.bytes).toBe(0);
});

describe('a stream', () => {
  const frame = `data: ${'x'.repeat(LARGE)}\n\n`;
  async function* frames(): AsyncGenerator<string, void> {
    yield frame;
  }

  test('waits for room, and arrives whole when others have made some', async () => {
    const { answers, ask, responses } = await serving(() => ({ type: 'events', frames: frames() }), MIB);
    const first = await ask();
    await still(() => answers.bytes);
    const second = await ask();
    await until(() => responses[1]?.headersSent === true);
    await still(() => answers.bytes);
    first.destroy();
    expect((await readAll(second)).length).toBeGreaterThanOrEqual(LARGE);
  });

  test('is let go when there is none for too long, and when it is not read', async () => {
    const { answers, ask, responses } = await serving(() => ({ type: 'events', frames: frames() }), MIB);
    await ask();
    await still(() => answers.bytes);
    await ask();
    await still(() => answers.bytes);
    vi.advanceTimersByTime(IDLE_MS);
    await until(() => responses.every(({ closed }) => closed));
    expect(answers.bytes).toBe(0);
  });

  test('goes on holding what it holds beside its frames when a large one has been taken', async () => {
    const end = Promise.withResolvers<void>();
    async function* large(): AsyncGenerator<string, void> {
      yield `data: ${'x'.repeat(MIB)}\n\n`;
      await end.promise;
    }
    const { answers, ask, responses } = await serving((call) => {
      call.admitBeside(MIB);
      return { type: 'events', frames: large() };
    }, 10 * MIB);
    const [first, second] = [(await ask()).resume(), (await ask()).resume()];
    await until(() => first.bytesRead > MIB && second.bytesRead > MIB);
    await still(() => answers.bytes);
    expect(answers.bytes).toBe(2 * (MIB - 16 * 1024));
    end.resolve();
    await until(() => responses.every(({ closed }) => closed));
  });

  test('of small frames that are read counts nothing, and one that holds much counts that to its end', async () => {
    const go = Promise.withResolvers<void>();
    async function* small(): AsyncGenerator<string, void> {
      for (let n = 0; n < 1_000; n += 1) yield `data: ${n}\n\n`;
      await go.promise;
      yield 'data: [DONE]\n\n';
    }
    const counts: number[] = [];
    const { answers, ask, responses } = await serving((call) => {
      if (call.changes) call.admitBeside(MIB);
      counts.push(answers.bytes);
      return { type: 'events', frames: small() };
    }, 2 * MIB);
    const plain = (await ask()).resume();
    await still(() => plain.bytesRead);
    expect(answers.bytes).toBe(0);
    const holding = (await ask('POST')).resume();
    await still(() => holding.bytesRead);
    expect(answers.bytes).toBe(MIB - 16 * 1024);
    go.resolve();
    await until(() => responses.every(({ closed }) => closed));
    expect(answers.bytes).toBe(0);
    expect(counts).toStrictEqual([0, MIB - 16 * 1024]);
  });
});

describe('a part of a stream', () => {
  const parts = ['data: a\n\n', 'data: 漢é\n\n', 'data: c\n\n'];
  async function* frames(): AsyncGenerator<string, void> {
    yield* parts;
  }
  const talk = async (request: string): Promise<string> => {
    const { ask } = await serving(() => ({ type: 'events', frames: frames() }), MIB);
    const socket = await ask();
    socket.end(request);
    let all = '';
    for await (const chunk of socket.setEncoding('utf8')) all += String(chunk);
    return all;
  };

  test('is a chunk, counted in bytes, also in the answer that waits behind another', async () => {
    const all = await talk('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const body = `9\r\n${parts[0]}\r\nd\r\n${parts[1]}\r\n9\r\n${parts[2]}\r\n0\r\n\r\n`;
    expect(all.split(/HTTP\/1\.1 200 OK\r\n[^]*?\r\n\r\n/)).toStrictEqual(['', body, body]);
  });

  test('is no chunk for a client that knows none, and nothing for one that wants only the head', async () => {
    const old = await talk('GET / HTTP/1.0\r\n\r\n');
    expect(old).toMatch(new RegExp(`\\r\\n\\r\\n${parts.join('')}$`));
    const head = await talk('HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(head).toMatch(/0\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
    expect(head.endsWith('0\r\n\r\n')).toBe(false);
  });
});

test('what is passed to a client that does not read stops, and arrives whole and in order when it reads', async () => {
  const reader: { take: ((text: string) => void) | null } = { take: null };
  const rest = Promise.withResolvers<IteratorResult<string, void>>();
  const answers: Promise<IteratorResult<string, void>>[] = [
    rest.promise,
    Promise.resolve({ done: true, value: undefined }),
  ];
  const frames = {
    [Symbol.asyncIterator]: () => ({
      next: async () => answers.shift() ?? rest.promise,
    }),
    pass: (given: typeof reader.take): void => {
      reader.take = given;
    },
  };
  const { ask, responses } = await serving(() => ({ type: 'events', frames }), MIB);
  const socket = await ask();
  await until(() => reader.take !== null);
  const told: string[] = [];
  while (reader.take !== null && told.length < 10_000) {
    const text = `data: ${told.length} ${'x'.repeat(8_000)}\n\n`;
    told.push(text);
    reader.take(text);
  }
  expect(reader.take).toBeNull();
  expect(responses[0]?.socket?.writableNeedDrain).toBe(true);
  rest.resolve({ done: false, value: 'data: last\n\n' });
  let all = '';
  for await (const chunk of socket.setEncoding('latin1')) {
    all += String(chunk);
    if (all.endsWith('0\r\n\r\n')) break;
  }
  const seen = [...all.matchAll(/data: (\w+)/g)].map(([, word]) => word);
  expect(seen).toStrictEqual([...told.map((_, index) => String(index)), 'last']);
});
