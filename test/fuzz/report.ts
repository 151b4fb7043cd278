/** Tells a fuzzing's result to a person: what was found, by kind, each with a request that shows it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attack } from './attack.ts';
import type { Found, FuzzResult } from './fuzz.ts';

const SHOWN_OF_EACH = 3;
const SHOWN_LENGTH = 1_500;
const INLINE_BYTES = 400;
const MEGABYTE = 1024 * 1024;

/** The report as lines of text; what has to be sent to see a finding again is put into `folder`. */
export function report(result: FuzzResult, seed: number, folder: string): string {
  const { found, statuses, memory, askedOfModel, seconds } = result;
  const answered = [...statuses.values()].reduce((sum, count) => sum + count, 0);
  const megabytes = (bytes: number): string => (bytes / MEGABYTE).toFixed(1);
  const lines = [
    `seed ${seed}: ${answered} answers in ${seconds.toFixed(0)} s, the model was asked ${askedOfModel} times`,
    `answers by status: ${[...statuses]
      .toSorted(([one], [other]) => one - other)
      .map((pair) => pair.join(': '))
      .join(', ')}`,
    ...memory.map(
      ({ name, when, rssBytes, heldBytes }) =>
        `memory of ${name}, ${when}: ${megabytes(heldBytes)} MB held, ${megabytes(rssBytes)} MB resident`,
    ),
  ];
  for (const [kind, all] of Map.groupBy(found, kindOf)) {
    lines.push('', `FOUND ${all.length} times: ${kind}`);
    for (const { detail, attack } of all.slice(0, SHOWN_OF_EACH)) {
      lines.push(`  ${detail.slice(0, SHOWN_LENGTH)}`);
      if (attack !== null) lines.push(...reproduction(attack, seed, folder));
    }
  }
  lines.push('', `${found.length} findings`);
  return lines.join('\n');
}

/** Findings of a kind say the same about different ids and numbers. */
function kindOf({ rule, detail }: Found): string {
  const same = detail
    .replaceAll(/\b(?:asst|thread|run|msg|step|call|req)_\w+/g, '…')
    .replaceAll(/\d{4,}/g, '…');
  const msg = /"msg":"([^"]+)"/.exec(same)?.[1];
  return `${rule}: ${msg ?? same.slice(0, 90)}`;
}

/** How to send an attack again: by curl where that can, and byte by byte. */
function reproduction(attack: Attack, seed: number, folder: string): readonly string[] {
  const { index, method, target, headers, body, bytes, manner } = attack;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${seed}-${index}`);
  writeFileSync(`${file}.http`, bytes);
  const [, host = ''] = headers.find(([name]) => name === 'Host') ?? [];
  const [address, port] = host.split(':');
  const own = headers.findLast(([name]) => name === 'Content-Length');
  const kept = headers.filter((header) => header !== own && header[0] !== 'Host');
  const data = dataOf(body, file);
  const parts = [
    `curl -isS --path-as-is -X ${quoted(method)}`,
    quoted(target.startsWith('/') ? `http://${host}${target}` : target),
    ...kept.map(([name, value]) => `-H ${quoted(value === '' ? `${name};` : `${name}: ${value}`)}`),
    ...(data === null ? [] : [`--data-binary ${data}`]),
  ];
  return [
    `    seed ${seed}, request ${index}, sent ${manner}: ${parts.join(' ').slice(0, SHOWN_LENGTH)}`,
    `    its bytes: nc ${address} ${port} < ${file}.http`,
  ];
}

function dataOf(body: Buffer, file: string): string | null {
  if (body.length === 0) return null;
  const text = body.toString('utf8');
  if (body.length <= INLINE_BYTES && /^[\u0020-\u007e]*$/.test(text) && !text.startsWith('@'))
    return quoted(text);
  writeFileSync(`${file}.body`, body);
  return `@${file}.body`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
