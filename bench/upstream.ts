/**
 * A paced model server, in a process of its own. The model's name says how it answers: `paced-TOKENS-GAP` sends so many
 * numbered tokens, so many milliseconds apart; with a gap of 0 they come in one packet. `waits` never says a word.
 * Numbers let the reader see what was lost, doubled or out of order. Tells its parent the port it listens on.
 */
import { createServer, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

const MODEL = /^paced-(\d+)-(\d+)$/;

const server = createServer((request, response) => {
  void text(request).then((body) => {
    if (request.method === 'GET') {
      const models = [{ id: 'paced-8-0', object: 'model', created: 1, owned_by: 'bench' }];
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ object: 'list', data: models }));
      return;
    }
    answer(body, response);
  });
});

function answer(body: string, response: ServerResponse): void {
  // The name stands in the first bytes; parsing the whole prompt would cost the measured machine.
  const model = /"model":"([^"]*)"/.exec(body)?.[1] ?? '';
  const [, tokens = '8', gap = '0'] = MODEL.exec(model) ?? [];
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.socket?.setNoDelay(true);
  if (model === 'waits') {
    response.flushHeaders();
    return;
  }
  const head = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"${model}","choices":[{"index":0,"delta":`;
  const chunk = (delta: string, reason = 'null'): string =>
    `${head}${delta},"logprobs":null,"finish_reason":${reason}}]}\n\n`;
  const token = (index: number): string => chunk(`{"content":" w${index}"}`);
  const count = Number(tokens);
  const end = `${chunk('{}', '"stop"')}data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"${model}","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":${count},"total_tokens":${count + 9}}}\n\ndata: [DONE]\n\n`;
  const begin = chunk('{"role":"assistant","content":""}');
  if (gap === '0') {
    response.end(begin + Array.from({ length: count }, (_, index) => token(index)).join('') + end);
    return;
  }
  pace(response, { first: begin + token(0), token, end, count, gapMs: Number(gap) });
}

interface Pace {
  readonly first: string;
  readonly token: (index: number) => string;
  readonly end: string;
  readonly count: number;
  readonly gapMs: number;
}

/** Each token at its own time after the first, so that a late timer does not delay those that follow. */
function pace(response: ServerResponse, { first, token, end, count, gapMs }: Pace): void {
  const startMs = performance.now();
  response.write(first);
  const next = (index: number): void => {
    if (response.destroyed) return;
    if (index === count) {
      response.end(end);
      return;
    }
    response.write(token(index));
    later(index + 1);
  };
  const later = (index: number): void => {
    setTimeout(next, Math.max(0, startMs + index * gapMs - performance.now()), index);
  };
  later(1);
}

server.keepAliveTimeout = 120_000;
server.requestTimeout = 0;
server.listen(0, '127.0.0.1', 4_096, () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the model server has no port');
  process.send?.({ port: address.port });
});
process.on('disconnect', () => process.exit());
