/** What is installed: every package is checked against its hash. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';

const REPOSITORY = join(import.meta.dirname, '..');
const REGISTRY = 'https://registry.npmjs.org/';

const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.looseObject({
      integrity: z.string().optional(),
      resolved: z.string().optional(),
    }),
  ),
});

const lock = lockSchema.parse(JSON.parse(text('package-lock.json')));
const packages = Object.entries(lock.packages).filter(([path]) => path !== '');

describe('package-lock.json', () => {
  test('has a hash of every package, those for other systems included', () => {
    const without = packages.filter(([, { integrity }]) => !/^sha512-/.test(integrity ?? ''));
    expect(without.map(([path]) => path)).toEqual([]);
  });

  test('leaves it to npm where packages come from, or names the public registry', () => {
    const elsewhere = packages.filter(([, { resolved }]) => !(resolved ?? REGISTRY).startsWith(REGISTRY));
    expect(elsewhere.map(([path, { resolved }]) => `${path}: ${resolved}`)).toEqual([]);
  });
});

function text(file: string): string {
  return readFileSync(join(REPOSITORY, file), 'utf8');
}
