/** A process that owns a pool and runs one tool in it, given as a file; the test kills it in the middle. */
import { pino } from 'pino';
import { ToolPool } from '../../src/toolbox/pool.ts';
import { toolContext } from '../support/tool-context.ts';
import { TOOL_ENV } from './tool-files.ts';

const [, , file = ''] = process.argv;
const pool = new ToolPool({
  processes: 1,
  env: TOOL_ENV,
  allowedTo: () => [],
  log: pino(),
});
await pool.tool(file, await pool.describe(file)).run({}, toolContext());
