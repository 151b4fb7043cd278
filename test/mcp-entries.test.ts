/** Entries of MCP servers as other clients' files have them: which are taken, what is left out and told, what is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError, readConfig, redacted } from '../src/config.ts';
import { prefixOf } from '../src/toolbox/mcp/listing.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'longrun-mcp-entries-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = path.join(folder, 'longrun.config.json');

type Env = Readonly<Record<string, string>>;

function read(content: object, env: Env = {}): ReturnType<typeof readConfig> {
  writeFileSync(file, JSON.stringify(content));
  return readConfig(env, file);
}

const readServer = (entry: object, env: Env = {}): unknown =>
  read({ mcpServers: { a: entry } }, env).mcpServers['a'];

function problems(content: object, env: Env = {}): readonly string[] {
  try {
    read(content, env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

const url = 'https://x.example/mcp';
const npx = { command: 'npx', args: ['-y', 'x'] };

describe('an entry is taken as it is written for', () => {
  const rows: readonly [client: string, entry: object, ours: object][] = [
    ['Claude Desktop', { ...npx, env: { A: 'b' } }, { ...npx, env: { A: 'b' } }],
    ['Claude Code', { type: 'http', url, headers: { a: 'b' } }, { type: 'http', url, headers: { a: 'b' } }],
    ['Cline', { ...npx, disabled: false, autoApprove: ['t'], timeout: 60 }, npx],
    ['Cline, on HTTP', { type: 'streamableHttp', url, disabled: false }, { type: 'http', url }],
    [
      'Roo',
      { type: 'streamable-http', url, alwaysAllow: [], command: '', args: [], env: {} },
      { type: 'http', url },
    ],
    ['Cursor', { ...npx, envFile: '.env', env: { A: '${env:A}' } }, { ...npx, env: { A: 'a' } }],
    ['Windsurf', { serverUrl: url, headers: { a: 'Bearer ${env:A}' } }, { url, headers: { a: 'Bearer a' } }],
    ['Gemini', { httpUrl: url, timeout: 5000, trust: true, includeTools: ['t'] }, { url, allow: ['t'] }],
    ['Gemini, a command', { ...npx, env: { A: '$A' }, cwd: './x' }, { ...npx, env: { A: 'a' }, cwd: './x' }],
    ['VS Code', { type: 'stdio', ...npx, dev: { watch: '*' } }, { type: 'stdio', ...npx }],
    [
      'LM Studio',
      { url, headers: { Authorization: 'Bearer x' } },
      { url, headers: { Authorization: 'Bearer x' } },
    ],
    [
      'Continue',
      { name: 'A', type: 'streamable-http', url, requestOptions: { headers: { a: 'b' } } },
      { url, headers: { a: 'b' } },
    ],
    ['Continue, earlier', { transport: { type: 'stdio', ...npx } }, { type: 'stdio', ...npx }],
    ['Zed', { source: 'custom', ...npx, env: {} }, npx],
    [
      'Zed, earlier',
      { command: { path: 'npx', args: npx.args, env: { A: 'b' } }, settings: {} },
      { ...npx, env: { A: 'b' } },
    ],
    [
      'Goose',
      { type: 'stdio', cmd: 'npx', args: npx.args, envs: { A: 'b' }, env_keys: ['A'], bundled: null },
      { ...npx, env: { A: 'a' } },
    ],
    ['Goose, on HTTP', { type: 'streamable_http', uri: url, envs: {}, enabled: true }, { type: 'http', url }],
    [
      'Codex',
      { url, bearer_token_env_var: 'A', http_headers: { b: 'c' } },
      { url, headers: { Authorization: 'Bearer a' } },
    ],
    [
      'opencode',
      { type: 'local', command: ['npx', '-y', 'x'], environment: { A: '{env:A}' } },
      { type: 'stdio', ...npx, env: { A: 'a' } },
    ],
    [
      'an SDK',
      { transport: 'streamable-http', url, requestInit: { headers: { a: 1 } } },
      { url, headers: { a: '1' } },
    ],
    [
      'numbers and truth values',
      { ...npx, env: { A: 3000, B: true, C: null } },
      { ...npx, env: { A: '3000', B: 'true' } },
    ],
    ['an argument that is a number', { command: 'x', args: ['--port', 80] }, { args: ['--port', '80'] }],
    [
      'placeholders everywhere',
      { url: 'https://${H:-y.example}/${A}', headers: { b: '${{ secrets.A }}' } },
      { url: 'https://y.example/a', headers: { b: 'a' } },
    ],
    [
      'mcp-remote, which fills its arguments in',
      { command: 'npx', args: ['mcp-remote', url, '--header', 'K:${K}'], env: { K: 'x' } },
      { args: ['mcp-remote', url, '--header', 'K:${K}'] },
    ],
    [
      'a shell, which fills its script in',
      { command: '/bin/sh', args: ['-c', 'exec x ${PORT} $A'] },
      { args: ['-c', 'exec x ${PORT} $A'] },
    ],
    [
      'a password with dollars',
      { ...npx, env: { P: 'pa$$word$A', Q: '$5' } },
      { env: { P: 'pa$$word$A', Q: '$5' } },
    ],
  ];
  test.each(rows)('%s', (_client, entry, ours) => {
    expect(readServer(entry, { A: 'a' })).toMatchObject(ours);
  });

  test('a client that lists its servers', () => {
    const { mcpServers } = read({
      mcpServers: [
        { name: 'files', ...npx },
        { name: 'crm', url },
      ],
    });
    expect(mcpServers).toMatchObject({ files: npx, crm: { url } });
  });

  test.each([
    ['@scope/server', 'scope_server_'],
    ['my server', 'my_server_'],
    ['files', 'files_'],
  ])('the tools of %s begin with %s', (name, prefix) => expect(prefixOf(name)).toBe(prefix));

  test.each(['@scope/server', 'my server', '文件', 'io.github.x/y'])(
    'any client that names it %s',
    (name) => {
      expect(Object.keys(read({ mcpServers: { [name]: npx } }).mcpServers)).toEqual([name]);
    },
  );
});

describe('told, and no reason not to start', () => {
  test('keys without a meaning here, in one line', () => {
    const { notes } = read({
      mcpServers: {
        a: { ...npx, timeout: 60, alwaysAllow: [] },
        b: { url, description: 'd', tools: ['*'] },
        c: npx,
      },
    });
    expect(notes).toEqual([
      'mcpServers: keys that have no meaning here are ignored: timeout, alwaysAllow of a; description, tools of b.',
    ]);
  });

  test.each([
    [
      'disabled',
      { ...npx, disabled: true, env: { A: '${NOT_SET}' } },
      'mcpServers.a is left out, because it is disabled.',
    ],
    ['not enabled', { command: 5, enabled: false }, 'mcpServers.a is left out, because it is disabled.'],
    [
      'only reached by SSE',
      { type: 'sse', url },
      'mcpServers.a is left out: it speaks the older SSE transport',
    ],
    [
      'of the transport sse',
      { transport: 'sse', url },
      'mcpServers.a is left out: it speaks the older SSE transport',
    ],
  ])('a server that is %s', (_what, entry, note) => {
    const { mcpServers, notes } = read({ mcpServers: { a: entry, b: npx } });
    expect(Object.keys(mcpServers)).toEqual(['b']);
    expect(notes).toEqual([expect.stringContaining(note)]);
  });
});

describe('refused, in a sentence that says what to do', () => {
  const rows: readonly [content: object, problem: string][] = [
    [
      { mcpServers: { a: { ...npx, env: { T: '${TOKEN}' } } } },
      'mcpServers.a.env.T: the value should be in TOKEN, which is not set.',
    ],
    [
      { mcpServers: { a: { url, headers: { T: 'Bearer $TOKEN' } } } },
      'mcpServers.a.headers.T: the value should be in TOKEN, which is not set.',
    ],
    [
      { mcpServers: { a: { url: '${env:ADDRESS}/mcp' } } },
      'mcpServers.a.url: the value should be in ADDRESS, which is not set.',
    ],
    [
      { mcpServers: { a: { ...npx, args: ['${workspaceFolder}/x'] } } },
      'mcpServers.a.args.0: only an editor knows what ${workspaceFolder} is. Write it out.',
    ],
    [
      { mcpServers: { a: { ...npx, env: { T: '${input:token}' } } } },
      'mcpServers.a.env.T: nobody can be asked for ${input:token}. Set an environment variable, and write ${VARIABLE} in its place.',
    ],
    [{ servers: { a: npx } }, 'servers: This is how VS Code names mcpServers. Rename it to mcpServers.'],
    [{ context_servers: {} }, 'context_servers: This is how Zed names mcpServers. Rename it to mcpServers.'],
    [{ inputs: [] }, 'inputs: VS Code asks its user for these'],
  ];
  test.each(rows)('%j', (content, problem) => {
    expect(problems(content)).toEqual([expect.stringContaining(problem)]);
  });

  test('and no value of the environment is in what is told or logged', () => {
    const SECRET = 'sk-very-secret';
    const content = {
      mcpServers: { a: { url: 'https://${S}.example/', headers: { b: '${S}', c: '${T}\n' }, odd: '${S}' } },
    };
    expect(problems(content, { S: SECRET, T: SECRET }).join('\n')).not.toContain(SECRET);
    const fine = { mcpServers: { a: { ...npx, args: ['${S}'], env: { b: '${S}' }, odd: '${S}' } } };
    const config = read(fine, { S: SECRET });
    expect(JSON.stringify([redacted(config), config.notes])).not.toContain(SECRET);
  });
});
