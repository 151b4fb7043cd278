/**
 * The fuzzer, run by hand: `npm run fuzz`. Hostile and normal requests over every route of a deployment of its own, with a
 * model as hostile as they are. Ends with exit code 1 when anything is found.
 *
 *   npm run fuzz -- --seed 1 --requests 100000
 *
 *   --seed      what is drawn; the same seed makes the same requests, but for the ids in them
 *   --requests  how many
 *   --lanes     how many at a time
 *   --apis, --workers  how many processes
 *   --out       the folder for what shows a finding again
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { fuzz } from './fuzz.ts';
import { report } from './report.ts';

// Its children end with it only where it leaves by itself.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** Fewer do not warm the processes up. */
const COMPARED_FROM = 5_000;

const whole = z.coerce.number().int().min(1);
const optionsSchema = z.object({
  seed: whole.default(1),
  requests: whole.default(10_000),
  lanes: whole.default(32),
  apis: whole.default(2),
  workers: whole.default(2),
  out: z.string().default(join(tmpdir(), `longrun-fuzz-${process.pid}`)),
});
const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: { seed: text, requests: text, lanes: text, apis: text, workers: text, out: text },
});
const { out, ...options } = optionsSchema.parse(values);
const result = await fuzz({
  ...options,
  compareMemory: options.requests >= COMPARED_FROM,
  onProgress: (answered) => process.stderr.write(`\r${answered} of ${options.requests}`),
});
console.log(`\n${report(result, options.seed, out)}`);
// Of a worker that crashed, tools may be left that hold our pipes open.
process.exit(result.found.length > 0 ? 1 : 0);
