/**
 * A vitest reporter for the end of the output, for people and for machines: why tests were skipped, then one line for
 * each failure, and last the plain `N passed, N failed, N skipped`. A file or block that cannot be set up, and an
 * unhandled error, count as failures.
 */
import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

const SHOWN_LENGTH = 200;

export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const count = { passed: 0, failed: 0, skipped: 0 };
    const failures: string[] = [];
    const skips = new Map<string, number>();
    const fail = (where: string, errors: readonly { readonly message: string }[]): void => {
      count.failed += 1;
      failures.push(`failed: ${where}: ${(errors[0]?.message ?? 'it never ran').slice(0, SHOWN_LENGTH)}`);
    };
    for (const error of unhandledErrors) fail('outside of every test', [error]);
    for (const module of modules) {
      const { relativeModuleId: file } = module;
      for (const suite of [module, ...module.children.allSuites()]) {
        if (suite.errors().length > 0)
          fail('fullName' in suite ? `${file} > ${suite.fullName}` : file, suite.errors());
      }
      for (const test of module.children.allTests()) {
        const result = test.result();
        switch (result.state) {
          case 'passed':
            count.passed += 1;
            break;
          case 'skipped': {
            count.skipped += 1;
            const why = `${file}: ${result.note ?? 'no reason given'}`;
            skips.set(why, (skips.get(why) ?? 0) + 1);
            break;
          }
          // A test that never ran although its file was chosen did not pass, so it must not vanish from the sum.
          case 'pending':
          case 'failed':
            fail(`${file} > ${test.fullName}`, result.errors ?? []);
        }
      }
    }
    const skipped = [...skips].map(([why, tests]) => `skipped: ${tests} of ${why}`);
    const lines = [...skipped, ...failures.map((failure) => failure.replaceAll(/\s+/g, ' '))];
    const closing = `${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`;
    // `npm test` prints the line itself, after everything that vitest prints while it closes.
    const file = process.env['LONGRUN_CLOSING_LINE'];
    if (file === undefined) lines.push(closing);
    else writeFileSync(file, closing);
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  }
}
