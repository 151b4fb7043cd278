/**
 * The programs that makers of devices print in their documents (the folders beside this file), run as they were printed, with only address, key and
 * model filled in. Where a printed line cannot run, huawei has it mended, and a test says so.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  missingProgram,
  pythonWith,
  pythonWithOpenAi,
  runProgram,
  type Ended,
  type Python,
} from '../clients/programs.ts';

/** What stands in for a placeholder of the document, by the placeholder. */
export type Fill = Readonly<Record<string, string>>;

/**
 * Runs a printed program to its end.
 * @param name for example `sharge/text.sh`
 * @throws when a placeholder does not occur in it: then it is not the program we take it for.
 */
export async function playDocument(
  name: string,
  command: string,
  fill: Fill,
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  let script = await readFile(new URL(name, import.meta.url), 'utf8');
  for (const [placeholder, value] of Object.entries(fill)) {
    if (!script.includes(placeholder)) throw new Error(`${name} has no ${placeholder}`);
    script = script.replaceAll(placeholder, value);
  }
  const folder = await mkdtemp(join(tmpdir(), 'longrun-device-'));
  try {
    const path = join(folder, name.replace('/', '-'));
    await writeFile(path, script);
    return await runProgram(command, [path], { cwd: folder, env });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Why shell documents cannot be run here; null when they can. */
export async function missingShell(): Promise<string | null> {
  const missing = await missingProgram('bash', 'curl');
  return missing === null ? null : `${missing} is not installed`;
}

/** A Python with the `requests` of these days (older ones send a text as Latin-1), or why there is none. */
export const pythonWithRequests = (): Promise<Python> => pythonWith('python-requests', 'requests>=2.32');

/** A Python with the newest `openai`, or why there is none. */
export const pythonWithSdk = (): Promise<Python> => pythonWithOpenAi(3);
