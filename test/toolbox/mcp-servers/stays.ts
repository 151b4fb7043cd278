/**
 * Starts another process that ends neither with its input nor by SIGTERM, and does not end by either itself (`stays`) or
 * goes without it (`leaves`). Both hold a connection to the port they are given, so that their end can be seen.
 */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { serve } from './wire.ts';

const [, , role, port = ''] = process.argv;
process.on('SIGTERM', () => {});
connect(Number(port), '127.0.0.1');

if (role !== 'other') {
  spawn(process.execPath, [import.meta.filename, 'other', port], { stdio: 'inherit' });
  serve({ 'tools/list': () => ({ tools: [] }) });
}
if (role === 'leaves') process.stdin.on('end', () => process.exit());
