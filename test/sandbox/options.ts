/** Settings of a sandbox for tests. */
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pino } from 'pino';
import { codeSettings, readConfig } from '../../src/config.ts';
import type { SandboxOptions } from '../../src/sandbox/open.ts';

const NO_FILE = join(tmpdir(), 'there-is-no-such-file.json');
/** Kept from run to run: setting up the packages takes a minute. */
const CODE_FOLDER = resolve(import.meta.dirname, '../../node_modules/.cache/longrun-code');

export const never = new AbortController().signal;

/** The settings as they are without any, with packages where all tests have them. */
export function options(changes: Partial<SandboxOptions> = {}): SandboxOptions {
  return {
    ...codeSettings(readConfig({}, NO_FILE)),
    codeSandbox: 'bubblewrap',
    codeFolder: CODE_FOLDER,
    log: pino({ level: 'silent' }),
    ...changes,
  };
}
