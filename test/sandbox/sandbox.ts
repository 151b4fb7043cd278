/** A sandbox for tests, where this machine can have one; and a kernel whose folders go when the test ends. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { removeFolder } from '../../src/sandbox/files.ts';
import { openSandbox, type SandboxOptions } from '../../src/sandbox/open.ts';
import { NoSandbox, type CodeResult, type CodeSandbox, type Kernel } from '../../src/sandbox/sandbox.ts';
import { never, options } from './options.ts';

/** Whether this machine runs code in bubblewrap. Where not, says so: its tests are skipped. */
export async function hasBubblewrap(): Promise<boolean> {
  const sandbox = openSandbox(options());
  const dataDir = await mkdtemp(join(tmpdir(), 'longrun-test-'));
  try {
    await (await sandbox.open({ dataDir, signal: never })).close();
    return true;
  } catch (error) {
    if (!(error instanceof NoSandbox)) throw error;
    console.warn(`Tests of code in bubblewrap are skipped: ${error.message}`);
    return false;
  } finally {
    await sandbox.close();
    await removeFolder(dataDir);
  }
}

/** A sandbox that is closed when the test ends. */
export function sandboxWith(changes: Partial<SandboxOptions> = {}): CodeSandbox {
  const sandbox = openSandbox(options(changes));
  onTestFinished(async () => sandbox.close());
  return sandbox;
}

/** A folder with these files, which is removed when the test ends. */
export async function newFolder(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'longrun-test-'));
  // Beside it lie the images of an owner that was killed.
  onTestFinished(async () => {
    await removeFolder(folder);
    await removeFolder(`${folder}.images`);
  });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

interface OpenedKernel {
  readonly kernel: Kernel;
  readonly dataDir: string;
  /** Runs code in it. */
  readonly run: (code: string) => Promise<CodeResult>;
}

/** A kernel of its own for a test, with these files in its folder. */
export async function newKernel(
  changes: Partial<SandboxOptions> = {},
  files: Readonly<Record<string, string>> = {},
): Promise<OpenedKernel> {
  const dataDir = await newFolder(files);
  const kernel = await sandboxWith(changes).open({ dataDir, signal: never });
  onTestFinished(async () => kernel.close());
  return { kernel, dataDir, run: async (code) => kernel.run(code, { signal: never }) };
}

/** All logs of a result. */
export function logsOf({ outputs }: Pick<CodeResult, 'outputs'>): string {
  return outputs.map((output) => (output.type === 'logs' ? output.logs : '')).join('');
}
