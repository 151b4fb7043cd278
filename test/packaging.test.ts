/**
 * What is installed and shipped: every package is checked against its hash, the image holds nothing that only builds or
 * tests, and what docker-compose.yml starts can do no more than it must.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { ENV, readConfig } from '../src/config.ts';
import { TRACING_VARIABLES } from '../src/config/tracing.ts';
import { YOUNG_GENERATION } from '../src/memory.ts';

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
const manifestSchema = z.looseObject({
  scripts: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});
const composeSchema = z.looseObject({
  services: z.record(
    z.string(),
    z.looseObject({
      image: z.string(),
      build: z.object({ args: z.object({ NODE_IMAGE: z.string() }) }).optional(),
      user: z.string().optional(),
      environment: z.record(z.string(), z.unknown()).default({}),
      command: z.array(z.string()),
      networks: z.array(z.string()).default(['default']),
      extra_hosts: z.array(z.string()).default([]),
      volumes: z.array(z.string()).default([]),
      network_mode: z.string().optional(),
      ports: z.array(z.string()).default([]),
      read_only: z.boolean().default(false),
      cap_drop: z.array(z.string()).default([]),
      cap_add: z.array(z.string()).default([]),
      privileged: z.boolean().default(false),
      security_opt: z.array(z.string()).default([]),
      mem_limit: z.string().optional(),
      pids_limit: z.number().optional(),
    }),
  ),
  networks: z.record(z.string(), z.object({ internal: z.boolean().default(false) })).default({}),
  volumes: z.record(z.string(), z.unknown()),
});

const codeSchema = z.object({ services: z.object({ worker: z.unknown() }), volumes: z.unknown() });

const manifest = manifestSchema.parse(JSON.parse(text('package.json')));
const lock = lockSchema.parse(JSON.parse(text('package-lock.json')));
const packages = Object.entries(lock.packages).filter(([path]) => path !== '');
const dockerfile = text('Dockerfile');
const [, base = ''] = /^ARG NODE_IMAGE=(\S+)$/m.exec(dockerfile) ?? [];
const { services, networks, volumes } = composeSchema.parse(
  parse(text('docker-compose.yml'), { merge: true }),
);

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
    expect(base).toMatch(PINNED);
    expect(base).toContain(`node:${manifest.devDependencies['node']}-slim@`);
    expect(dockerfile.match(/^FROM .+$/gm)).toEqual(['FROM ${NODE_IMAGE}']);
  });

  test('needs to be told of a Redis and a key only, and says so where there is no key', () => {
    const [, said = ''] = /^ENV (HOST=.+)$/m.exec(dockerfile) ?? [];
    const env = Object.fromEntries<string>(
      said.split(' ').map((pair) => [pair.split('=')[0] ?? '', pair.split('=')[1] ?? '']),
    );
    const nowhere = join(import.meta.dirname, 'no.config.json');
    expect(() => readConfig(env, nowhere)).toThrow('AUTH is key, but API_KEY is not set.');
    const given = { ...env, API_KEY: 'k', REDIS_URL: 'redis://redis:6379' };
    expect(readConfig(given, nowhere)).toMatchObject({ host: '0.0.0.0', auth: 'key', port: 8080 });
    const command = ['node', ...YOUNG_GENERATION, 'src/api/main.ts'];
    expect(dockerfile).toContain(`CMD ${JSON.stringify(command).replaceAll(',', ', ')}`);
  });

  test('is not run by root', () => {
    expect(dockerfile.match(/^USER .+$/gm)?.at(-1)).toBe('USER node');
  });
});

test.each(['api', 'worker'])('%s has a young generation of one size wherever it is started', (name) => {
  const flags = YOUNG_GENERATION.join(' ');
  expect(manifest.scripts[name]).toBe(`exec node ${flags} setup/run.mjs ${name}`);
  expect(services[name]?.command.join(' ')).toContain(`${flags} src/${name}/main.ts`);
  expect(text('docs/configuration.md')).toContain(`longrun node ${flags} src/worker/main.ts`);
});

describe('docker-compose.yml', () => {
  test.for(Object.entries(services))('%s can do no more than it must', ([, service]) => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], cap_add: [], privileged: false });
    expect(service.security_opt).toContain('no-new-privileges:true');
    expect(service.mem_limit).toBeDefined();
    expect(service.pids_limit).toBeDefined();
    // Our image says itself that it is not root.
    expect(service.user ?? service.image).toMatch(/^(redis|longrun)$/);
  });

  test('pins what it does not build, and builds on what the Dockerfile names', () => {
    const byDefault = (value: string): string => /^\$\{\w+:-(.+)\}$/.exec(value)?.[1] ?? value;
    const bases = Object.values(services).map(({ image, build }) =>
      byDefault(build?.args.NODE_IMAGE ?? image),
    );
    expect(bases.filter((image) => image !== base && !image.startsWith('redis:'))).toEqual([]);
    expect(bases.filter((image) => !PINNED.test(image))).toEqual([]);
  });

  test('has no key or password that every installation would share', () => {
    const settings = Object.values(services).flatMap(({ environment }) => Object.entries(environment));
    const defaults = settings.flatMap(([name, value]) =>
      /KEY|SECRET|PASSWORD|REDIS_URL/.test(name) && !/^\$\{\w+:(-|\?[^}]*)\}$/.test(String(value))
        ? [`${name}: ${String(value)}`]
        : [],
    );
    // The demo model takes any.
    expect([...new Set(defaults)]).toEqual(['OPENAI_API_KEY: ${OPENAI_API_KEY:-demo}']);
    expect(services['redis']?.command.join(' ')).toContain('--include /keys/redis.conf');
  });

  test('leads to Redis and the demo model from the API and the workers only', () => {
    const neighbours = (name: string): string[] => {
      const near = services[name]?.networks ?? [];
      const others = Object.entries(services).filter(([other, { networks: its, network_mode: mode }]) => {
        return other !== name && mode !== 'none' && its.some((network) => near.includes(network));
      });
      return others.map(([other]) => other);
    };
    for (const name of ['redis', 'demo']) {
      expect(neighbours(name)).toEqual(['api', 'worker']);
      expect(services[name]?.ports).toEqual([]);
      expect(services[name]?.networks.every((network) => networks[network]?.internal === true)).toBe(true);
    }
  });

  test('hands every setting on to the API and the workers, but those that it decides or that make no sense here', () => {
    const others = ['LONGRUN_CONFIG', 'OPENAI_BASE_URL', 'OPENAI_API_KEY', ...TRACING_VARIABLES];
    const names = [...Object.keys(ENV), ...others];
    const missing = (service: string, not: Readonly<Record<string, string>>): readonly string[] => {
      const environment = services[service]?.environment ?? {};
      // Handed on means by its own name: `NAME: ${NAME…}`.
      return names.filter((name) => !(name in not) && !String(environment[name]).startsWith(`\${${name}:`));
    };
    expect(missing('api', { ...NOT_IN_COMPOSE, ...WORKERS_ONLY })).toEqual([]);
    expect(missing('worker', { ...NOT_IN_COMPOSE, ...API_ONLY })).toEqual([]);
    const settings = new Set(
      ['api', 'worker'].flatMap((name) => Object.keys(services[name]?.environment ?? {})),
    );
    expect([...settings].filter((name) => !names.includes(name))).toEqual([]);
  });

  test('leads the API and the workers to model servers of this machine, and to a folder that need not be there', () => {
    for (const name of ['api', 'worker']) {
      expect(services[name]?.extra_hosts).toEqual(['host.docker.internal:host-gateway']);
      expect(services[name]?.volumes).toContain('${OWN_FOLDER:-own}:/app/own:ro');
    }
    expect(Object.keys(volumes)).toContain('own');
  });

  test('shares files and their index among the API and the workers', () => {
    for (const volume of ['files', 'library']) {
      expect(Object.keys(volumes)).toContain(volume);
      for (const name of ['api', 'worker']) expect(services[name]?.volumes).toContain(`${volume}:/${volume}`);
      // A new volume takes its owner from the folder of the image.
      expect(dockerfile).toMatch(new RegExp(`install -d -o node -g node .*/${volume}\\b`));
    }
  });

  test('bounds Redis, and keeps what it has', () => {
    const command = services['redis']?.command.join(' ') ?? '';
    expect(command).toContain('--maxmemory ${REDIS_MAXMEMORY:-3gb} --maxmemory-policy noeviction');
    expect(command).toContain('--appendonly yes');
  });

  test('with docker-compose.code.yml gives the workers what a sandbox needs, and no more', () => {
    const more = codeSchema.parse(parse(text('docker-compose.code.yml')));
    expect(Object.keys(more.services)).toEqual(['worker']);
    expect(more.services.worker).toEqual({
      image: 'longrun-code',
      build: { context: '.', args: { WITH_CODE: 'yes' } },
      security_opt: ['no-new-privileges:true', 'seccomp:unconfined', 'apparmor:unconfined'],
      environment: { CODE_FOLDER: '${CODE_FOLDER:-/code}' },
      mem_limit: '${WORKER_MEMORY:-4g}',
      volumes: ['code:/code'],
    });
    expect(dockerfile).toMatch(/^RUN if \[ -n "\$WITH_CODE" \]; then .*bubblewrap python3-venv/m);
    expect(dockerfile).toMatch(/install -d -o node -g node .*\/code\b/);
  });

  test('opens one port, to this machine', () => {
    const ports = Object.values(services).flatMap((service) => service.ports);
    expect(ports).toEqual(['127.0.0.1:${PORT:-8080}:8080']);
  });
});

/** Settings that docker-compose.yml does not hand on, each with its reason. */
const NOT_IN_COMPOSE = {
  PORT: 'is where the API is on this machine; in its container it is always 8080',
  HOST: 'every interface of the container, of which one port leads to loopback',
  REDIS_URL: 'comes from the volume `keys`, with the password in it',
  WORKERS: 'is for `npm start`; here `--scale worker=3`',
  DURABILITY: 'can only be `local` with the one Redis that is here',
} as const;
const API_ONLY = {
  MAX_FORWARDED: 'only the API passes requests on',
  UPLOAD_LIMIT_BYTES: 'only the API takes uploads',
  CORS_ORIGINS: 'workers take no requests',
  ALLOWED_HOSTS: 'the same',
  TRUST_PROXY: 'the same',
  BODIES_LIMIT_BYTES: 'the same',
  ANSWERS_LIMIT_BYTES: 'the same',
  MAX_STREAMS: 'the same',
  MAX_WAITING_RUNS: 'the API refuses them',
  MAX_OPEN_RUNS_PER_PROJECT: 'the same',
  MAX_MEMORY_MB: 'the API says at GET /ready',
} as const;
const WORKERS_ONLY = {
  WORKER_CONCURRENCY: 'the API executes nothing',
  INDEX_CONCURRENCY: 'workers read the files of vector stores',
} as const;

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
