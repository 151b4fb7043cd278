/**
 * One request as it goes over the wire, drawn from a seed and its number: a draft of some route, its body mutated, its head
 * disguised, its bytes cut, sent twice or followed by another. Only the ids in it depend on what was answered before.
 */
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { Random } from '../chaos/random.ts';
import type { Known } from './known.ts';
import { isPlanted } from './model.ts';
import { INHERITED, jsonOf, mutated, spoiledText } from './mutate.ts';
import type { Draft } from './drafts.ts';
import { draft } from './routes.ts';

export type Manner =
  /** Sent, and its answer read; a stream up to some frame. */
  | 'whole'
  /** Sent up to some byte, and no further. */
  | 'cut'
  /** Its answer is read up to some byte. */
  | 'hang up'
  /** Sent over two connections at once. */
  | 'twice'
  /** Another one, for `/ping`, is sent along. */
  | 'pipelined';

type Header = readonly [name: string, value: string];

export interface Attack {
  readonly index: number;
  readonly method: string;
  readonly target: string;
  readonly headers: readonly Header[];
  readonly body: Buffer;
  /** All of it, as it is sent. */
  readonly bytes: Buffer;
  readonly manner: Manner;
  /** How many bytes are sent or read, how many frames of a stream, where not all are. */
  readonly upTo: number;
  /** Its head or its framing is no usual one: what follows it on its connection may suffer. */
  readonly odd: boolean;
  /** The model may have been told to fail. */
  readonly planted: boolean;
}

const MUTATED = 0.4;
const SPOILED = 0.06;
const TARGET_SPOILED = 0.1;
const METHOD_CHANGED = 0.04;
const HEADERS_ADDED = 0.2;
const ENCODED = 0.05;
const CHUNKED = 0.1;
const BOMB = 0.001;
const BOMB_BYTES = 31 * 1024 * 1024;
const LONG_TARGET = 12_000;
const LONG_HEADER = 20_000;

/** The attack of that number. @param host where it goes, for the header */
export function attackOf(seed: number, index: number, known: Known, host: string): Attack {
  const random = new Random(Math.imul(seed, 0x9e_37_79_b1) ^ Math.imul(index + 1, 0x85_eb_ca_6b));
  const plain = draft(random, known);
  const method = random.chance(METHOD_CHANGED) ? random.pick(METHODS) : plain.method;
  const target = targetOf(plain, random, known, host);
  const text = textOf(plain, random, known);
  const { body, headers: coding } = encoded(Buffer.from(text), random);
  const extra = extras(random, known);
  const headers: Header[] = [['Host', host], ...typeOf(body, random, plain), ...coding, ...extra];
  const { framing, framed, finished } = framedBody(body, headers, random);
  headers.push(...framing);
  const head = [`${method} ${target} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  const whole = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), framed]);
  const drawn = finished ? mannerOf(random) : 'cut';
  // Behind a request for another protocol Node reads no further.
  const upgrades = extra.some(([name]) => name === 'Upgrade');
  const manner = upgrades && drawn === 'pipelined' ? 'whole' : drawn;
  const bytes = {
    whole,
    twice: whole,
    'hang up': whole,
    cut: finished ? whole.subarray(0, random.between(1, whole.length)) : whole,
    pipelined: Buffer.concat([whole, Buffer.from(`GET /ping HTTP/1.1\r\nHost: ${host}\r\n\r\n`)]),
  }[manner];
  return {
    index,
    method,
    target,
    headers,
    body,
    bytes,
    manner,
    upTo: random.between(0, 30),
    odd: extra.length > 0 || coding.length > 0 || method !== plain.method || target !== plain.target,
    // What steers another request's run hears how that one ends.
    planted: isPlanted(text) || text.includes('"multitask":"steer"'),
  };
}

function mannerOf(random: Random): Manner {
  if (random.chance(0.8)) return 'whole';
  return random.pick(['cut', 'hang up', 'twice', 'pipelined'] as const);
}

function textOf({ body, form }: Draft, random: Random, known: Known): string {
  if (form !== undefined) return form.text;
  if (body === undefined) return random.chance(0.05) ? random.pick(['{}', '{', 'null', '[]', '"x"']) : '';
  let value: unknown = body;
  if (random.chance(MUTATED)) {
    for (let left = random.between(1, 3); left > 0; left -= 1) value = mutated(value, random, known);
  }
  const text = jsonOf(value);
  return random.chance(SPOILED) ? spoiledText(text, random) : text;
}

const METHODS = [
  'GET',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'get',
  'NONE',
];

function targetOf({ target }: Draft, random: Random, known: Known, host: string): string {
  // The other base path.
  const based = random.chance(0.1) ? target.replace(/^\/v1\//, '/api/assts/v1/') : target;
  if (!random.chance(TARGET_SPOILED)) return based;
  const [path = '', query = ''] = based.split('?');
  const mark = query === '' ? '?' : '&';
  const at = random.between(1, path.length);
  return random.pick([
    () => `http://${host}${based}`,
    () => `http://elsewhere.invalid${based}`,
    () => `${path.slice(0, at)}%${path.slice(at)}`,
    () =>
      `${path.slice(0, at)}${random.pick(['%00', '%2F', '%2e%2e', '%ff', '%C3%28', '%u0041', '//', '/../', ';a=b'])}${path.slice(at)}`,
    () => `${path.slice(0, at)}\u00e9${path.slice(at)}`,
    () => path.replace(/[^/]+$/, known.anyId(random)),
    () => path.replace(/[^/]+$/, random.pick(INHERITED)),
    () => path.replace(/[^/]+$/, encodeURIComponent('a b/<c>"\u0000😀')),
    () => `${path}/`,
    () => path.toUpperCase(),
    () => `${path}/${'x'.repeat(LONG_TARGET)}`,
    () => `${based}${mark}${'a=b&'.repeat(2_000)}`,
    () => `${based}${mark}limit[]=1&limit[]=2`,
    () => `${based}${mark}limit=1&limit=2`,
    () =>
      `${based}${mark}limit=${random.pick(['0', '-1', '1e2', '101', 'x', '', '0x10', '9'.repeat(30), 'null'])}`,
    () => `${based}${mark}order=${random.pick([...INHERITED, 'ASC', '', 'asc%00'])}`,
    () =>
      `${based}${mark}after=${random.pick(['%', '%00', 'x'.repeat(500), '[]', ...INHERITED, known.anyId(random)])}`,
    () => `${based}${mark}__proto__=1&constructor=2&toString`,
    () => `${based}${mark}tid=%F0%9F&pid=__proto__`,
    () => `${based}#fragment`,
    () => `*`,
  ])();
}

/** Most clients say JSON; whatever they say, it is read as JSON. */
function typeOf(body: Buffer, random: Random, { form }: Draft): readonly Header[] {
  if (body.length === 0) return [];
  if (form !== undefined && random.chance(0.95))
    return [['Content-Type', `multipart/form-data; boundary="${form.boundary}"`]];
  if (random.chance(0.9)) return [['Content-Type', 'application/json']];
  const type = random.pick([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-16',
    'application/json; charset=nothing',
    'image/png',
    '',
    ';;;',
    '*/*',
  ]);
  return [['Content-Type', type]];
}

let bombs: readonly Header[] = [];
let bombBodies: readonly Buffer[] = [];

/** Small bodies that become large ones; made once. */
function bomb(random: Random): { readonly body: Buffer; readonly headers: readonly Header[] } {
  if (bombBodies.length === 0) {
    const spaces = Buffer.alloc(BOMB_BYTES, ' ');
    const beyond = Buffer.alloc(BOMB_BYTES * 2);
    bombBodies = [
      gzipSync(spaces),
      brotliCompressSync(spaces),
      deflateSync(beyond),
      gzipSync(gzipSync(beyond)),
    ];
    bombs = ['gzip', 'br', 'deflate', 'gzip, gzip'].map((name) => ['Content-Encoding', name]);
  }
  const at = random.between(0, bombBodies.length - 1);
  return { body: bombBodies[at] ?? Buffer.alloc(0), headers: bombs.slice(at, at + 1) };
}

function encoded(
  body: Buffer,
  random: Random,
): { readonly body: Buffer; readonly headers: readonly Header[] } {
  if (body.length === 0) return { body, headers: [] };
  if (random.chance(BOMB)) return bomb(random);
  if (random.chance(0.02)) return { body: withBadBytes(body, random), headers: [] };
  if (!random.chance(ENCODED)) return { body, headers: [] };
  const as = (name: string, bytes: Buffer) => ({
    body: bytes,
    headers: [['Content-Encoding', name] as const],
  });
  return random.pick([
    () => as('gzip', gzipSync(body)),
    () => as('br', brotliCompressSync(body)),
    () => as('deflate', deflateSync(body)),
    () => as('identity', body),
    () => as('gzip', gzipSync(body).subarray(0, -9)),
    () => as('gzip', body),
    () => as('br', body),
    () => as('zstd', body),
    () => as('gzip, gzip', gzipSync(gzipSync(body))),
    () => as('nothing', body),
    () => as(random.pick(INHERITED), body),
  ])();
}

/** Not UTF-8, in the middle. */
function withBadBytes(body: Buffer, random: Random): Buffer {
  const at = random.between(0, body.length);
  const bad = Buffer.from(random.pick([[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf8, 0x88], [0x00]]));
  return Buffer.concat([body.subarray(0, at), bad, body.subarray(at)]);
}

function extras(random: Random, known: Known): readonly Header[] {
  if (!random.chance(HEADERS_ADDED)) return [];
  const name = random.pick([
    'one',
    'two',
    'x'.repeat(300),
    '',
    '\u00e9',
    '{"a":1}',
    ...INHERITED,
    known.anyId(random),
  ]);
  return random.pick<() => readonly Header[]>([
    () => [['Idempotency-Key', name]],
    () => [['Idempotency-Key', `key-${random.between(1, 20)}`]],
    () => [['X-Thread-Id', name]],
    () => [['Content-Encoding', random.pick(INHERITED)]],
    () => [['X-Stainless-Retry-Count', random.pick(['1', '-1', 'x', ...INHERITED])]],
    () => [['Last-Event-ID', random.pick(['1', '-1', 'x', '1e99', ''])]],
    () => [['Authorization', random.pick(['Bearer x', 'Bearer', '', 'Basic eDp5', 'x'.repeat(5_000)])]],
    () => [['OpenAI-Beta', random.pick(['assistants=v1', 'assistants=v2', 'x', ...INHERITED])]],
    () => [['Expect', random.pick(['100-continue', 'nothing', ...INHERITED])]],
    () => [['Connection', random.pick(['close', 'upgrade', 'x', ...INHERITED])]],
    () => [
      ['Connection', 'Upgrade'],
      ['Upgrade', random.pick(['websocket', 'h2c'])],
    ],
    () => [['Host', 'elsewhere.invalid']],
    () => [['Origin', random.pick(['null', 'http://elsewhere.invalid', 'x'])]],
    () => [['Accept', random.pick(['text/html', 'text/event-stream', '*/*;q=0', '', ...INHERITED])]],
    () => [['Accept-Encoding', 'gzip, br, zstd, *;q=0']],
    () => [['X-Long', 'x'.repeat(LONG_HEADER)]],
    () => Array.from({ length: 150 }, (_, at): Header => [`X-${at}`, 'y']),
    () => [['X-Odd', '\u0001']],
    () => [['Odd Name', 'x']],
    () => [['Content-Length', '0']],
    () => [['Content-Length', random.pick(['-1', 'x', '1e3', '99999999999999999999'])]],
    () => [['Transfer-Encoding', random.pick(['chunked', 'identity', 'gzip, chunked', 'x'])]],
    () => [['Range', 'bytes=0-1']],
    () => [['If-None-Match', '*']],
    () => [['X-HTTP-Method-Override', 'DELETE']],
    () => [['X-Forwarded-For', random.pick(['10.0.0.1', 'x', '::1, 1.2.3.4'])]],
    () => [['Cookie', 'a=b; __proto__=c']],
    () => [['User-Agent', '']],
    () => [['X-Request-Id', name]],
  ])();
}

interface Framed {
  readonly framing: readonly Header[];
  readonly framed: Buffer;
  /** The other side knows where it ends; else it waits until we leave. */
  readonly finished: boolean;
}

/** With its length, or in chunks. */
function framedBody(body: Buffer, headers: readonly Header[], random: Random): Framed {
  const finished = !headers.some(([name]) => name === 'Transfer-Encoding');
  if (body.length === 0) return { framing: [], framed: body, finished };
  if (!random.chance(CHUNKED) || !finished)
    return { framing: [['Content-Length', String(body.length)]], framed: body, finished };
  const half = random.between(0, body.length);
  const chunks = [body.subarray(0, half), body.subarray(half)].filter((part) => part.length > 0);
  const parts = chunks.flatMap((part) => [Buffer.from(`${part.length.toString(16)}\r\n`), part, CRLF]);
  const end = random.chance(0.9) ? LAST_CHUNK : random.pick(['', '0\r\n', 'x\r\n', 'ffffffff\r\n']);
  const framed = Buffer.concat([...parts, Buffer.from(end)]);
  return { framing: [['Transfer-Encoding', 'chunked']], framed, finished: end === LAST_CHUNK };
}

const CRLF = Buffer.from('\r\n');
const LAST_CHUNK = '0\r\n\r\n';
