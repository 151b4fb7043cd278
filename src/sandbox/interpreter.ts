/** The Python of this machine that kernels run on: one that can make virtual environments. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';

const run = promisify(execFile);
/** Those on the PATH come first; `python3` there may be one without `venv`. */
const CANDIDATES = ['python3', '/usr/bin/python3', '/usr/local/bin/python3'];
const LIMIT_MS = 30_000;
const OLDEST = 9;
const QUESTION = `
import ensurepip, json, os, sys, venv
print(json.dumps({"executable": os.path.realpath(sys.executable), "prefix": sys.base_prefix, "minor": sys.version_info[1]}))`;

const answerSchema = z.object({ executable: z.string(), prefix: z.string(), minor: z.number().min(OLDEST) });

export interface Interpreter {
  /** Its file, no link. */
  readonly executable: string;
  /** The folder that holds it and its library, such as `/usr`. */
  readonly prefix: string;
  readonly minor: number;
}

/** The first that serves; null where none does. */
export async function findInterpreter(env: Readonly<Record<string, string>>): Promise<Interpreter | null> {
  for (const candidate of CANDIDATES) {
    try {
      const { stdout } = await run(candidate, ['-I', '-c', QUESTION], { env, timeout: LIMIT_MS });
      return answerSchema.parse(JSON.parse(stdout));
    } catch {
      // Not there, too old, or Debian's without python3-venv.
    }
  }
  return null;
}
