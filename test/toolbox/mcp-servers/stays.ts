/**
 * Starts another process that ends neither with its input nor by SIGTERM, and does not end by either itself (`stays`), goes
 * without it (`leaves`) or has let it leave the process group, too (`frees`). Both hold a connection to the port they are given, so that their end can be seen.
 */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { serve } from './wire.ts';

const [, , role, port = ''] = process.argv;
process.on('SIGTERM', () => {});
connect(Number(port), '127.0.0.1');

if (role !== 'other') {
  spawn(process.execPath, [import.meta.filename, 'other', port], {
    stdio: 'inherit',
    detached: role === 'frees',
  });
  serve({ 'tools/list': () => ({ tools: [] }) });
}
if (role === 'leaves' || role === 'frees') process.stdin.on('end', () => process.exit());
