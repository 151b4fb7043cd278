/**
 * The least that a proxy in this language costs: Express, one upstream request, every packet written on as it came. No
 * keys, no queue, no state. It is the floor that the service's own figures are compared with.
 */
import express from 'express';
import { Agent, request } from 'undici';

const upstream = process.argv[2];
if (upstream === undefined) throw new Error('usage: proxy.ts UPSTREAM');
const agent = new Agent({ connections: null, pipelining: 1 });
const app = express();
app.post('/v1/chat/completions', express.json({ limit: '32mb' }), async (incoming, outgoing) => {
  const gone = new AbortController();
  outgoing.on('close', () => gone.abort());
  const answer = await request(`${upstream}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(incoming.body),
    dispatcher: agent,
    signal: gone.signal,
  });
  outgoing.writeHead(answer.statusCode, { 'content-type': 'text/event-stream' });
  try {
    for await (const packet of answer.body) outgoing.write(packet);
  } catch {
    // The client has gone.
  }
  outgoing.end();
});
const server = app.listen(0, '127.0.0.1', 4_096, () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  process.send?.({ port: address.port });
});
server.keepAliveTimeout = 120_000;
process.on('disconnect', () => process.exit());
