/**
 * Every check there is, from the quickest to the slowest; the first that fails ends it. Whatever happens, the last line
 * of the output is `N passed, N failed, N skipped`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChild } from './child.mjs';
import { BIN, COMPILE_CACHE } from './machine.mjs';

/** npm scripts of the same checks are for running one alone. */
const STEPS = [
  ['Types', 'tsc'],
  ['Types of the console', 'tsc', '-p', 'src/console'],
  ['Lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['Format', 'oxfmt', '--check'],
  ['Dead code', 'knip'],
  ['Tests, the house rules among them', 'vitest', 'run'],
];
const FAILED = '0 passed, 1 failed, 0 skipped';

/**
 * @param {{ env: Record<string, string> }} tools
 * @returns {Promise<number>} the exit code
 */
export async function runTests({ env }) {
  const folder = mkdtempSync(join(tmpdir(), 'longrun-test-'));
  const file = join(folder, 'closing-line');
  let failed = false;
  for (const [heading, program, ...args] of STEPS) {
    console.log(`\n== ${heading}: ${[program, ...args].join(' ')}`);
    const settings = { ...env, LONGRUN_CLOSING_LINE: file, NODE_COMPILE_CACHE: COMPILE_CACHE };
    // vitest, told to stop, leaves its workers and what they started to themselves; a group hears it as one.
    const options = { stdio: 'inherit', detached: true };
    const { code, wasTold } = await runChild(join(BIN, program), args, settings, options);
    failed = code !== 0 || wasTold;
    if (failed) break;
  }
  console.log(`\n${closingLine(file, failed)}`);
  rmSync(folder, { recursive: true, force: true });
  return failed ? 1 : 0;
}

/** What test/support/closing-line.ts counted; one failure when the tests did not get that far. */
function closingLine(file, failed) {
  let line = FAILED;
  try {
    line = readFileSync(file, 'utf8');
  } catch {
    return FAILED;
  }
  // vitest may fail after the count, for example when something keeps it from closing.
  return failed ? line.replace(', 0 failed,', ', 1 failed,') : line;
}
