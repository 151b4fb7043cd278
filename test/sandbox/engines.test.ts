/** Which engine is found, what is said where there is none, and how packages are set up, or not. */
import { copyFile, chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { systemCallFilter } from '../../src/sandbox/seccomp.ts';
import { never, options } from './options.ts';
import { hasBubblewrap, logsOf, newFolder, sandboxWith } from './sandbox.ts';

const runs = await hasBubblewrap();
const NONE =
  'This server has no code interpreter: install bubblewrap, or set CODE_SANDBOX=docker (docs/files.md).';

/** A log, and what it was told. */
function listeningLog() {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  return { log, lines };
}

describe('where no code can be run', () => {
  test('because it is turned off, whoever asks is told what to do', async () => {
    const sandbox = sandboxWith({ codeSandbox: 'off' });
    const opening = sandbox.open({ dataDir: await newFolder(), signal: never });
    await expect(opening).rejects.toThrow(NONE);
    await expect(opening).rejects.toMatchObject({ name: 'NoSandbox' });
  });

  test('because nothing is installed, one line of the log says what to install', async () => {
    const { log, lines } = listeningLog();
    const codeEnv = { PATH: await newFolder() };
    const sandbox = sandboxWith({ codeSandbox: 'auto', codeEnv, log });
    await expect(sandbox.open({ dataDir: await newFolder(), signal: never })).rejects.toThrow(NONE);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/apt-get install bubblewrap python3-venv|bubblewrap needs Linux/);
    expect(lines[0]).toContain('There is no Docker that Longrun may use.');
  });
});

describe('the filter of system calls', () => {
  test('is there for the machines that Longrun runs on, and for no others', () => {
    expect(systemCallFilter('ia32')).toBeNull();
    for (const arch of ['x64', 'arm64']) {
      const filter = systemCallFilter(arch) ?? Buffer.alloc(0);
      expect(filter.length).toBeGreaterThan(500);
      expect(filter.length % 8).toBe(0);
      const jumps = Array.from({ length: filter.length / 8 }, (_, at) => [
        at + 1 + filter.readUInt8(at * 8 + 2),
        at + 1 + filter.readUInt8(at * 8 + 3),
      ]).flat();
      // The last instruction is a return, which goes nowhere.
      expect(Math.max(...jumps.slice(0, -2))).toBeLessThan(filter.length / 8);
    }
  });
});

describe.runIf(runs)('packages', () => {
  test('that cannot be set up are no reason to fail silently: who asks is told, the log says why, and it is tried again', async () => {
    const { log, lines } = listeningLog();
    let nowMs = 0;
    const codeEnv = { ...options().codeEnv, PIP_NO_INDEX: '1' };
    const sandbox = sandboxWith({ codeFolder: await newFolder(), codeEnv, log, now: () => nowMs });
    const dataDir = await newFolder();
    const told: string[] = [];
    const open = async () =>
      sandbox.open({ dataDir, signal: never, onProgress: (sentence) => void told.push(sentence) });
    const tries = () => lines.filter((line) => line.includes('cannot be set up')).length;
    await expect(Promise.all([open(), open()])).rejects.toThrow(/could not be set up\. It tries again later/);
    expect(told.join(' ')).toContain('numpy, pandas, matplotlib, pillow, openpyxl');
    expect(tries()).toBe(1);
    expect(lines.join('')).toMatch(/No matching distribution found for numpy/);
    await expect(open()).rejects.toThrow('could not be set up');
    expect(tries()).toBe(1);
    nowMs += 61_000;
    await expect(open()).rejects.toThrow('could not be set up');
    expect(tries()).toBe(2);
  });
});

const callSchema = z.object({
  options: z.array(z.tuple([z.string(), z.string().nullable()])),
  image: z.string(),
  inner: z.array(z.string()),
});

describe.runIf(runs)('Docker', () => {
  test('gets a container that can do nothing, and a kernel in it that runs code', async () => {
    const bin = await newFolder();
    await copyFile(new URL('docker.py', import.meta.url), join(bin, 'docker'));
    await chmod(join(bin, 'docker'), 0o755);
    const codeEnv = { PATH: `${bin}:${process.env['PATH'] ?? ''}` };
    const codeFolder = await newFolder();
    const sandbox = sandboxWith({ codeSandbox: 'docker', codeRuntime: 'runsc', codeEnv, codeFolder });
    const kernel = await sandbox.open({ dataDir: await newFolder(), signal: never });
    const result = await kernel.run("import os\nopen('made', 'w').close()\nos.getpid() > 1", {
      signal: never,
    });
    expect(logsOf(result)).toBe('True\n');
    expect(result.files.map(({ path }) => path)).toEqual(['made']);
    await kernel.close();

    const calls = (await readFile(join(bin, 'called'), 'utf8')).trim().split('\n');
    const { options: given, image } = callSchema.parse(JSON.parse(calls.at(-1) ?? ''));
    expect(image).toBe('python:3.12-slim');
    for (const option of [
      ['--runtime', 'runsc'],
      ['--network', 'none'],
      ['--read-only', null],
      ['--cap-drop', 'ALL'],
      ['--security-opt', 'no-new-privileges'],
      ['--memory', '512m'],
      ['--memory-swap', '512m'],
      ['--pids-limit', '64'],
    ])
      expect(given).toContainEqual(option);
    const writable = given.flatMap(([name, value]) =>
      name === '--volume' && !value?.endsWith(':ro') ? value : [],
    );
    expect(writable.map((volume) => volume?.split(':')[1])).toEqual(['/mnt/data', '/mnt/images']);
  });
});
