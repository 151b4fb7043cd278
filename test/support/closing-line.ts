/**
 * A vitest reporter that ends the output with one plain line, `N passed, N failed, N skipped`, for people and machines
 * alike; above it, why each skipped test was skipped. A file that cannot be loaded and an unhandled error count as failures.
 */
import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    const lines: string[] = [];
    for (const module of modules) {
      if (module.errors().length > 0) count.failed += 1;
      for (const test of module.children.allTests()) {
        const result = test.result();
        // A test that never ran although its file was chosen did not pass, so it must not vanish from the sum.
        count[result.state === 'pending' ? 'failed' : result.state] += 1;
        if (result.state !== 'skipped') continue;
        lines.push(`skipped: ${test.fullName}: ${result.note ?? 'no reason given'}`);
      }
    }
    const closing = `${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`;
    // `npm test` prints the line itself, behind whatever vitest still has to say while it closes.
    const file = process.env['LONGRUN_CLOSING_LINE'];
    if (file === undefined) lines.push(closing);
    else writeFileSync(file, closing);
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  }
}
