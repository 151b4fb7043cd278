/** A process that owns a server which ends by nothing that it is asked, and is killed in the middle by the test. */
import { openHostile } from './mcp-source.ts';

const [, , role = '', port = ''] = process.argv;
openHostile('stays', { args: [role, port] });
