/** TLS in front of a server, as a reverse proxy brings it, with a certificate of its own that clients are told to trust. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';

export class TlsProxy {
  /** For example `https://localhost:41234`. */
  readonly url: string;
  readonly certificate: string;
  /** Where the certificate lies, for clients that read it from a file. */
  readonly certificatePath: string;
  readonly #close: () => Promise<void>;
  /** What is waited for in answers, and whom to tell of it. */
  readonly #awaited = new Map<string, () => void>();

  /** In front of the server at `target`, for example `http://127.0.0.1:41230`. */
  static async start(target: string): Promise<TlsProxy> {
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
      keyType: 'ec',
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
    });
    const folder = await mkdtemp(join(tmpdir(), 'longrun-tls-'));
    const certificatePath = join(folder, 'certificate.pem');
    await writeFile(certificatePath, cert);
    const server = createServer({ key, cert }, (incoming, outgoing) => {
      const { method, url = '', headers } = incoming;
      const passing = request(new URL(url, target), { method, headers, setHost: false }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.on('data', (chunk: Buffer) => proxy.#passes(chunk.toString('utf8')));
        answer.pipe(outgoing);
      });
      passing.on('error', () => outgoing.destroy());
      outgoing.on('close', () => passing.destroy());
      incoming.pipe(passing);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    const proxy = new TlsProxy(`https://localhost:${address.port}`, cert, certificatePath, async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    });
    return proxy;
  }

  private constructor(url: string, certificate: string, certificatePath: string, close: () => Promise<void>) {
    this.url = url;
    this.certificate = certificate;
    this.certificatePath = certificatePath;
    this.#close = close;
  }

  /** Calls `then` whenever a piece of an answer with this text passes. */
  whenever(text: string, then: () => void): void {
    this.#awaited.set(text, then);
  }

  stop(): Promise<void> {
    return this.#close();
  }

  #passes(piece: string): void {
    for (const [text, then] of this.#awaited) if (piece.includes(text)) then();
  }
}
