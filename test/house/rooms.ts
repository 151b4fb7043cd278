/**
 * The rooms of the house, in one table: what each holds, and what it may import besides itself. The house test, the lint
 * configuration and AGENTS.md follow it; `npm run house -- --write` brings the last two up to date.
 */

export interface Room {
  /** What it holds, for AGENTS.md. */
  readonly holds: string;
  /** Rooms, and files directly in src; `root` is all of those. A room of rooms (`api`) is itself only, without its folders. */
  readonly mayImport: readonly string[];
}

/** What a protocol may import: never another one. */
const PROTOCOL = ['api/http', 'turns', 'runs', 'store', 'root'];

export const ROOMS: Readonly<Record<string, Room>> = {
  runs: {
    holds: 'what a run is: its events, the table of transitions, the prompt, the agent loop; no I/O',
    mayImport: [],
  },
  model: { holds: 'model servers and the demo model', mayImport: ['runs', 'errors.ts', 'log.ts'] },
  tools: {
    holds: 'one file per built-in tool; what a tool needs beside its file lies in a folder below',
    mayImport: ['runs'],
  },
  toolbox: {
    holds:
      'where tools come from (folders, OpenAPI, MCP), the processes they run in, and `runner.ts`, which runs one call',
    mayImport: ['runs', 'guard', 'cannot-start.ts', 'errors.ts', 'lines.ts', 'log.ts'],
  },
  guard: {
    holds: 'the one guard for outgoing requests: what may be reached, and how long and how much of it',
    mayImport: ['runs'],
  },
  sandbox: {
    holds:
      "runs a program's code for code_interpreter: engines bubblewrap and docker, the Python kernel and its line protocol",
    mayImport: ['lines.ts', 'log.ts'],
  },
  vault: {
    holds: 'the bytes of files beside Redis: one interface, in a folder or in S3',
    mayImport: ['cannot-start.ts', 'log.ts'],
  },
  store: {
    holds: 'Redis and BullMQ; no other room touches them',
    mayImport: ['runs', 'cannot-start.ts', 'errors.ts', 'log.ts', 'redis-url.ts'],
  },
  library: {
    holds:
      'rows beside Redis, in SQLite or PostgreSQL: chunks of files with their words and vectors, which can be made again; cold threads, which cannot',
    mayImport: ['runs', 'cannot-start.ts', 'log.ts'],
  },
  documents: {
    holds: 'the text of documents and its chunks; runs inside the tool processes',
    mayImport: ['runs', 'tools'],
  },
  otel: {
    holds: 'OpenTelemetry: spans that are sent to a collector; loaded only where there is one',
    mayImport: ['runs', 'log.ts'],
  },
  worker: {
    holds: 'executes runs; finds those that lost their job or their worker',
    mayImport: ['runs', 'store', 'vault', 'root'],
  },
  turns: {
    holds:
      'what every protocol does with runs, without HTTP: begin one, recognise a repeated request, decide about a busy thread, listen, answer, cancel',
    mayImport: ['runs', 'store', 'errors.ts', 'log.ts', 'memory.ts', 'seal.ts'],
  },
  'api/http': {
    holds: 'reads, checks, limits and writes the requests, answers and streams of all protocols',
    mayImport: ['turns', 'runs', 'store', 'errors.ts', 'log.ts', 'metrics.ts'],
  },
  'api/assistants': { holds: 'the Assistants API', mayImport: PROTOCOL },
  'api/chat': { holds: '`/chat/completions`, voice engines, glasses', mayImport: PROTOCOL },
  'api/agents': {
    holds: 'the agent platform (Huawei): agents under addresses of their own',
    mayImport: PROTOCOL,
  },
  'api/azure': {
    holds: "Azure's paths: deployments, projects, and what the Foundry agents client calls things",
    mayImport: PROTOCOL,
  },
  'api/forward': {
    holds: 'what model servers answer by themselves: embeddings, speech, pictures',
    mayImport: PROTOCOL,
  },
  'api/files': { holds: 'files, and uploads in parts', mayImport: [...PROTOCOL, 'vault'] },
  'api/stores': { holds: 'vector stores, their files, and searches in them', mayImport: PROTOCOL },
  'api/responses': { holds: 'the Responses and Conversations API', mayImport: PROTOCOL },
  'api/models': { holds: '`/models`', mayImport: PROTOCOL },
  'api/plugins': { holds: "the server's own tools, listed and called", mayImport: PROTOCOL },
  'api/usage': { holds: 'what a project has used, by day', mayImport: PROTOCOL },
  'api/admin': {
    holds: 'what operators see: the stream of what changes, the figures of the whole service',
    mayImport: PROTOCOL,
  },
  'api/ops': { holds: 'health, readiness, metrics', mayImport: PROTOCOL },
  'api/console': {
    holds: 'the web console as browsers take it: built from `src/console`, with its policy',
    mayImport: PROTOCOL,
  },
  api: {
    holds: '`app.ts`: every protocol and its paths',
    mayImport: [
      'api/http',
      'api/assistants',
      'api/chat',
      'api/agents',
      'api/azure',
      'api/forward',
      'api/files',
      'api/stores',
      'api/responses',
      'api/models',
      'api/plugins',
      'api/usage',
      'api/admin',
      'api/ops',
      'api/console',
      'turns',
      'runs',
      'store',
      'vault',
      'root',
    ],
  },
  console: {
    holds: 'the pages of the web console; run in browsers and speak the public API',
    mayImport: [],
  },
  config: { holds: 'groups of settings: their schemas, their secrets', mayImport: [] },
  local: { holds: 'what `npm start` runs on one machine', mayImport: ['root'] },
  import: {
    holds: '`npm run import`: from exported files to `POST /import`; speaks HTTP',
    mayImport: ['json-place.ts'],
  },
  root: { holds: 'files of one process: settings, log, errors, shutdown', mayImport: ['runs', 'config'] },
};

/** The room of a path inside src. */
export function roomOf(path: string): string {
  const parts = path.split('/');
  const [first = ''] = parts;
  if (parts.length === 1) return 'root';
  const nested = `${first}/${parts[1] ?? ''}`;
  return parts.length > 2 && isRoomOfRooms(first) ? nested : first;
}

/** Whether the folders of a room are rooms of their own. */
function isRoomOfRooms(room: string): boolean {
  return Object.keys(ROOMS).some((name) => name.startsWith(`${room}/`));
}
