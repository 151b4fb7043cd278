/** Bytes in a folder. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { pino } from 'pino';
import { CannotStart } from '../../src/cannot-start.ts';
import { FolderVault } from '../../src/vault/folder.ts';
import { openVault } from '../../src/vault/open.ts';
import { chunksOf, keysIn, testPromises } from './promises.ts';

const HOUR_MS = 60 * 60 * 1000;
const AWS = { hasEndpoint: false, region: null };
const log = pino({ level: 'silent' });
const folders: string[] = [];
let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'vault-'));
  folders.push(root);
});
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

const incoming = (): readonly string[] => readdirSync(join(root, '.incoming'));

testPromises(() => new FolderVault(root));

describe('a folder', () => {
  test('is its owner’s only', async () => {
    const vault = await openVault(join(root, 'new'), AWS, log);
    await vault.put('default/file-1', chunksOf(Buffer.from('x')));
    const modes = ['new', 'new/default', 'new/default/file-1'].map(
      (path) => statSync(join(root, path)).mode & 0o777,
    );
    expect(modes).toEqual([0o700, 0o700, 0o600]);
  });

  test('that cannot be one keeps the process from starting, with words', async () => {
    writeFileSync(join(root, 'file'), '');
    const opening = openVault(join(root, 'file'), AWS, log);
    await expect(opening).rejects.toThrow(CannotStart);
    await expect(opening).rejects.toThrow(/^FILES_URL: files cannot be kept in the folder '.*file': /);
  });

  test('keeps what a killed process left until it has made no progress for as long as is said', async () => {
    const code = `
      import { FolderVault } from ${JSON.stringify(join(import.meta.dirname, '../../src/vault/folder.ts'))};
      async function* endless() {
        yield Buffer.alloc(1_000_000);
        console.log('half');
        await new Promise((resolve) => setTimeout(resolve, 1e9));
      }
      await new FolderVault(${JSON.stringify(root)}).put('default/file-1', endless());`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(createInterface({ input: child.stdout }), 'line');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const vault = new FolderVault(root);
    expect(await keysIn(vault)).toEqual([]);
    expect(incoming()).toHaveLength(1);
    await vault.tidy(Date.now() - HOUR_MS);
    expect(incoming()).toHaveLength(1);
    const old = new Date(Date.now() - 2 * HOUR_MS);
    for (const name of incoming()) utimesSync(join(root, '.incoming', name), old, old);
    await vault.tidy(Date.now() - HOUR_MS);
    expect(incoming()).toEqual([]);
  });

  test('has nothing else in it after a failure', async () => {
    const vault = new FolderVault(root);
    const full = async function* (): AsyncGenerator<Uint8Array, void> {
      yield Buffer.from('x');
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    };
    await expect(vault.put('default/file-1', full())).rejects.toThrow('no space left');
    expect(incoming()).toEqual([]);
    expect(readdirSync(root)).toEqual(['.incoming']);
  });
});
