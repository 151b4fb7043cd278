/** A short fuzzing with a fixed seed: nothing is found. `npm run fuzz` is the long one. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { startService } from '../support/service.ts';
import { Wire } from '../support/wire.ts';
import { attackOf } from './attack.ts';
import { fuzz } from './fuzz.ts';
import { Known } from './known.ts';
import { report } from './report.ts';
import { ROUTES } from './routes.ts';

const SHORT = { seed: 7, requests: 1_500, lanes: 16, apis: 2, workers: 2, compareMemory: false };
/** A limit for a hang: some seconds of requests, and the life of runs that wait. */
const LASTS_MS = 240_000;

test('the same seed makes the same requests, another one others', () => {
  const attacks = (seed: number) =>
    Array.from({ length: 50 }, (_, index) => attackOf(seed, index, new Known(), 'host:1'));
  expect(attacks(1)).toEqual(attacks(1));
  expect(attacks(2)).not.toEqual(attacks(1));
});

test('every route that there is has requests', async () => {
  const service = await startService({ redisUrl: inject('redisUrl'), workers: 0 });
  onTestFinished(() => service.stop());
  const { body } = await new Wire(service.url).ask('GET', '/');
  const { endpoints } = z.looseObject({ endpoints: z.array(z.string()) }).parse(body);
  expect(Object.keys(ROUTES).toSorted()).toEqual(endpoints.toSorted());
});

test(
  `${SHORT.requests} requests find nothing`,
  async () => {
    const result = await fuzz(SHORT);
    expect(result.found, report(result, SHORT.seed, join(tmpdir(), 'longrun-fuzz'))).toEqual([]);
  },
  LASTS_MS,
);
