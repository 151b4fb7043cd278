/**
 * The model server of the load check: answers every question slowly enough that runs overlap, and counts how often each was
 * asked. A question is known by the marker in its last message. Reachable from containers, so it binds every interface.
 */
import { createServer, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';

const WORDS = 20;
/** A second for an answer, well within the time a stopping worker lets its runs go on. */
const WORD_MS = 50;

const bodySchema = z.looseObject({
  model: z.string(),
  messages: z.array(z.looseObject({ content: z.unknown() })).min(1),
});

export class CountingModel {
  /** Marker → how often it was asked. */
  readonly asked = new Map<string, number>();
  /** Most questions that were being answered at the same time. */
  peak = 0;
  #answering = 0;
  readonly #server = createServer((request, response) => {
    void json(request)
      .then((body) => this.#answer(bodySchema.parse(body), response))
      // Whoever hung up is counted by what is missing in the end.
      .catch(() => response.destroy());
  });

  /** @returns the port it listens on; 0 takes any free one. */
  async start(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, resolve);
    });
    const address = this.#server.address();
    return address === null || typeof address === 'string' ? port : address.port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer({ model, messages }: z.infer<typeof bodySchema>, response: ServerResponse): Promise<void> {
    const marker = /marker-\d+/.exec(JSON.stringify(messages.at(-1)))?.[0] ?? 'no marker';
    this.asked.set(marker, (this.asked.get(marker) ?? 0) + 1);
    this.#answering += 1;
    this.peak = Math.max(this.peak, this.#answering);
    try {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model };
      const send = (delta: object, reason: string | null): void => {
        const choices = [{ index: 0, delta, finish_reason: reason }];
        response.write(`data: ${JSON.stringify({ ...head, choices })}\n\n`);
      };
      for (let word = 0; word < WORDS && !response.destroyed; word += 1) {
        await delay(WORD_MS);
        send({ role: 'assistant', content: word === 0 ? marker : ` word${word}` }, null);
      }
      send({}, 'stop');
      response.end('data: [DONE]\n\n');
    } finally {
      this.#answering -= 1;
    }
  }
}
