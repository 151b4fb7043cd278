/** Losing Redis in the middle of a transaction is told from other failures. */
import { createServer, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { isFull, isUnavailable } from '../../src/store/away.ts';

test('a connection that is lost under a transaction is Redis being away, and not a full Redis', async () => {
  // It answers what the client asks at its beginning, and hangs up on the transaction.
  const server = createServer((socket: Socket) => {
    socket.on('data', (data) => {
      if (data.includes('multi')) socket.destroy();
      else socket.write('+OK\r\n'.repeat(data.toString().split('*').length - 1));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const redis = new Redis({ host: '127.0.0.1', port, enableReadyCheck: false, retryStrategy: () => null });
  redis.on('error', () => {});
  const error: unknown = await redis
    .multi()
    .get('a')
    .exec()
    .catch((reason: unknown) => reason);
  server.close();
  expect(isUnavailable(error)).toBe(true);
  expect(isFull(error)).toBe(false);
});
