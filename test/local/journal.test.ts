/** The file a process's log goes into: who can read it, also when it was there before and when it is turned over. */
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LogJournal } from '../../src/local/journal.ts';

const TOO_LARGE_BYTES = 17 * 1024 * 1024;

test('only its owner reads a journal, whatever it was before and after it is turned over', () => {
  process.umask(0o022);
  const root = mkdtempSync(join(tmpdir(), 'longrun-journal-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const folder = join(root, 'log');
  const path = join(folder, 'api.log');
  new LogJournal(path, () => {}).close();
  expect(modes(folder)).toEqual({ '': '700', 'api.log': '600' });

  writeFileSync(path, '');
  truncateSync(path, TOO_LARGE_BYTES);
  chmodSync(path, 0o644);
  const journal = new LogJournal(path, () => {});
  onTestFinished(() => journal.close());
  journal.write('one line more');
  expect(modes(folder)).toEqual({ '': '700', 'api.log': '600', 'api.log.1': '600' });
});

test('a warning about a run, a tool or a server says on the terminal which one, and where more is to be found', () => {
  const root = mkdtempSync(join(tmpdir(), 'longrun-journal-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const path = join(root, 'worker-1.log');
  const said: string[] = [];
  const journal = new LogJournal(path, (text) => said.push(text));
  onTestFinished(() => journal.close());
  const lines = [
    { level: 40, msg: 'a run failed: The upstream is away.', run_id: 'run_1', status: 503 },
    { level: 40, msg: 'tool call', tool: 'dice', outcome: 'refused', status: 404, run_id: 'run_2' },
    { level: 40, msg: 'upstream retry', reason: 'The upstream cannot be reached.' },
    { level: 40, msg: 'a run failed: It is full.', reason: 'It is full.', run_id: 'run_3' },
    { level: 40, msg: 'refused a request', upstream: 'house', model: 'm', lesson: {} },
    { level: 40, msg: 'MCP server unavailable', mcp_server: 'files', reason: 'It has ended.' },
    { level: 30, msg: 'tool call', tool: 'dice', outcome: 'answered', run_id: 'run_2' },
  ];
  for (const line of lines) journal.write(JSON.stringify(line));
  expect(said).toEqual([
    `warn: a run failed: The upstream is away. [run_1; grep it in ${path}]`,
    `warn: tool call: dice, refused (404) [run_2; grep it in ${path}]`,
    'warn: upstream retry: The upstream cannot be reached.',
    `warn: a run failed: It is full. [run_3; grep it in ${path}]`,
    `warn: refused a request [upstream house, model m; more in ${path}]`,
    `warn: MCP server unavailable: It has ended. [MCP server files; more in ${path}]`,
  ]);
});

function modes(folder: string): Record<string, string> {
  const names = ['', ...readdirSync(folder)];
  return Object.fromEntries(
    names.map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]),
  );
}
