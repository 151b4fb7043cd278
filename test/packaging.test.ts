/**
 * What is installed and shipped: every package is checked against its hash, and the image holds nothing that only builds or
 * tests.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';

const REPOSITORY = join(import.meta.dirname, '..');
const REGISTRY = 'https://registry.npmjs.org/';
const PINNED = /@sha256:[\da-f]{64}$/;

const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.looseObject({
      integrity: z.string().optional(),
      resolved: z.string().optional(),
      dev: z.boolean().default(false),
      optional: z.boolean().default(false),
      devOptional: z.boolean().default(false),
      hasInstallScript: z.boolean().default(false),
    }),
  ),
});
const manifestSchema = z.looseObject({ devDependencies: z.record(z.string(), z.string()) });

const manifest = manifestSchema.parse(JSON.parse(text('package.json')));
const lock = lockSchema.parse(JSON.parse(text('package-lock.json')));
const packages = Object.entries(lock.packages).filter(([path]) => path !== '');
const dockerfile = text('Dockerfile');

describe('package-lock.json', () => {
  test('has a hash of every package, those for other systems included', () => {
    const without = packages.filter(([, { integrity }]) => integrity?.startsWith('sha512-') !== true);
    expect(without.map(([path]) => path)).toEqual([]);
  });

  test('leaves it to npm where packages come from, or names the public registry', () => {
    const elsewhere = packages.filter(([, { resolved }]) => !(resolved ?? REGISTRY).startsWith(REGISTRY));
    expect(elsewhere.map(([path, { resolved }]) => `${path}: ${resolved}`)).toEqual([]);
  });
});

describe('the image', () => {
  test('holds nothing that only builds or tests', () => {
    const [, flags = ''] = /^RUN npm ci((?: --omit=(?:dev|optional))+)/m.exec(dockerfile) ?? [];
    const shipped = installedWithout({
      dev: flags.includes('--omit=dev'),
      optional: flags.includes('--omit=optional'),
    });
    const ours = Object.keys(manifest.devDependencies).map((name) => `node_modules/${name}`);
    expect(shipped.length).toBeGreaterThan(50);
    expect(shipped.filter((path) => ours.includes(path))).toEqual([]);
    expect(shipped.filter((path) => lock.packages[path]?.hasInstallScript === true)).toEqual([]);
  });

  test('is built on one that is pinned, of the Node that everything is tested with', () => {
    const [, base = ''] = /^ARG NODE_IMAGE=(\S+)$/m.exec(dockerfile) ?? [];
    expect(base).toMatch(PINNED);
    expect(base).toContain(`node:${manifest.devDependencies['node']}-slim@`);
    expect(dockerfile.match(/^FROM .+$/gm)).toEqual(['FROM ${NODE_IMAGE}']);
  });

  test('is not run by root', () => {
    expect(dockerfile.match(/^USER .+$/gm)?.at(-1)).toBe('USER node');
  });
});

/** What `npm ci` installs when it is told to leave out development packages, optional ones, or both. */
function installedWithout(omitted: { readonly dev: boolean; readonly optional: boolean }): string[] {
  const stays = packages.filter(
    ([, { dev, optional, devOptional }]) =>
      !(dev && omitted.dev) &&
      !(optional && omitted.optional) &&
      !(devOptional && omitted.dev && omitted.optional),
  );
  return stays.map(([path]) => path);
}

function text(file: string): string {
  return readFileSync(join(REPOSITORY, file), 'utf8');
}
