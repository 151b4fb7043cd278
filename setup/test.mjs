/**
 * Every check there is, from the quickest to the slowest; the first that fails ends it. Whatever happens, the last line
 * of the output is `N passed, N failed, N skipped`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BIN, ROOT } from './machine.mjs';

/** npm scripts of the same checks are for running one alone. */
const STEPS = [
  ['Types', 'tsc'],
  ['Lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['Format', 'oxfmt', '--check'],
  ['Dead code', 'knip'],
  ['Tests, the house rules among them', 'vitest', 'run'],
];
const FAILED = '0 passed, 1 failed, 0 skipped';

/**
 * @param {{ env: Record<string, string> }} tools
 * @returns {number} the exit code
 */
export function runTests({ env }) {
  const folder = mkdtempSync(join(tmpdir(), 'longrun-test-'));
  const file = join(folder, 'closing-line');
  let failed = false;
  for (const [heading, program, ...args] of STEPS) {
    console.log(`\n== ${heading}: ${[program, ...args].join(' ')}`);
    const { status } = spawnSync(join(BIN, program), args, {
      cwd: ROOT,
      stdio: 'inherit',
      env: { ...process.env, ...env, LONGRUN_CLOSING_LINE: file },
    });
    failed = status !== 0;
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
