/**
 * A stand-in for a collector of traces: takes OTLP as protobuf over HTTP, as OpenTelemetry's exporters send it, and keeps the
 * spans. Knows of the format only what the tests look at.
 */
import { createServer, type Server } from 'node:http';
import { buffer } from 'node:stream/consumers';

export interface CollectedSpan {
  readonly traceId: string;
  readonly id: string;
  /** Null for the root of a trace. */
  readonly parentId: string | null;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Of the process that sent it. */
  readonly resource: Readonly<Record<string, unknown>>;
  /** 2 is an error. */
  readonly status: number;
}

export class FakeCollector {
  /** What it answers. */
  status = 200;
  readonly spans: CollectedSpan[] = [];
  /** All that was sent. */
  readonly bodies: Buffer[] = [];
  readonly headers: NodeJS.Dict<string | string[]>[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      void buffer(request).then((body) => {
        this.bodies.push(body);
        this.headers.push(request.headers);
        if (this.status === 200) this.spans.push(...spansIn(body));
        response.writeHead(this.status, { 'content-type': 'application/x-protobuf' }).end();
      });
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  /** Its address, as OTEL_EXPORTER_OTLP_ENDPOINT names it. */
  get url(): string {
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the collector does not listen');
    return `http://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The fields of a message, by number; each may come several times. */
type Fields = ReadonlyMap<number, readonly (Buffer | bigint)[]>;

function fieldsOf(message: Buffer): Fields {
  const fields = new Map<number, (Buffer | bigint)[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at] ?? 0;
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const bytes = (length: number): Buffer => message.subarray(at, (at += length));
  while (at < message.length) {
    const tag = Number(varint());
    const read: Readonly<Record<number, () => Buffer | bigint>> = {
      0: varint,
      1: () => bytes(8),
      2: () => bytes(Number(varint())),
      5: () => bytes(4),
    };
    const value = read[tag & 7]?.();
    if (value === undefined) throw new Error(`no such wire type: ${tag & 7}`);
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value]);
  }
  return fields;
}

const messages = (fields: Fields, number: number): readonly Fields[] =>
  (fields.get(number) ?? []).map((value) => fieldsOf(Buffer.isBuffer(value) ? value : Buffer.alloc(0)));

const bytesIn = (fields: Fields, number: number): Buffer => {
  const [value] = fields.get(number) ?? [];
  return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
};

const textIn = (fields: Fields, number: number): string => bytesIn(fields, number).toString();
const numberIn = (fields: Fields, number: number): number => Number(fields.get(number)?.[0] ?? 0);

function valueIn(any: Fields | undefined): unknown {
  if (any === undefined) return null;
  if (any.has(1)) return textIn(any, 1);
  if (any.has(2)) return numberIn(any, 2) === 1;
  if (any.has(3)) return numberIn(any, 3);
  if (any.has(4)) return bytesIn(any, 4).readDoubleLE();
  return messages(messages(any, 5)[0] ?? new Map(), 1).map(valueIn);
}

const attributesIn = (fields: Fields, number: number): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    messages(fields, number).map((pair) => [textIn(pair, 1), valueIn(messages(pair, 2)[0])]),
  );

function spansIn(body: Buffer): readonly CollectedSpan[] {
  return messages(fieldsOf(body), 1).flatMap((ofProcess) => {
    const resource = attributesIn(messages(ofProcess, 1)[0] ?? new Map(), 1);
    return messages(ofProcess, 2)
      .flatMap((scope) => messages(scope, 2))
      .map((span) => ({
        traceId: bytesIn(span, 1).toString('hex'),
        id: bytesIn(span, 2).toString('hex'),
        parentId: bytesIn(span, 4).toString('hex') || null,
        name: textIn(span, 5),
        kind: numberIn(span, 6),
        attributes: attributesIn(span, 9),
        resource,
        status: numberIn(messages(span, 15)[0] ?? new Map(), 3),
      }));
  });
}
