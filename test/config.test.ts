/** What an operator may rely on: where settings come from, what is refused and how, and that the docs say it all. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError, ENV, isSet, readConfig, redacted } from '../src/config.ts';
import { route } from '../src/model/upstreams.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'longrun-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const NO_FILE = path.join(folder, 'there-is-no-such-file.json');
let files = 0;

/** The path of a new config file. */
function file(content: unknown): string {
  const name = path.join(folder, `${(files += 1)}.json`);
  writeFileSync(name, typeof content === 'string' ? content : JSON.stringify(content));
  return name;
}

type Env = Readonly<Record<string, string>>;

/** What is wrong with these settings; nothing when they are accepted. */
function problems(env: Env, from = NO_FILE): readonly string[] {
  try {
    readConfig(env, from);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

const SECRET = 'sk-very-secret';
const KEYED = { AUTH: 'key', API_KEY: SECRET };

describe('where settings come from', () => {
  test('without any, the service is reachable from this machine only and needs nothing', () => {
    expect(readConfig({}, NO_FILE)).toMatchObject({ host: '127.0.0.1', auth: 'none', upstreams: [] });
  });

  test('the environment stands over the file, and the file over the defaults', () => {
    const from = file({ port: 1111, drainMs: 7, logLevel: 'warn' });
    expect(readConfig({ PORT: '2222', DRAIN_MS: '' }, from)).toMatchObject({
      port: 2222,
      drainMs: 7,
      logLevel: 'warn',
      pollAfterMs: 250,
    });
  });

  test('LONGRUN_CONFIG names the file', () => {
    expect(readConfig({ LONGRUN_CONFIG: file({ port: 3333 }) }).port).toBe(3333);
  });

  test('any variable that is empty counts as not set', () => {
    const empty = [...Object.keys(ENV), 'LONGRUN_CONFIG', 'OPENAI_BASE_URL', 'OPENAI_API_KEY'];
    const env = Object.fromEntries(empty.map((name) => [name, '']));
    expect(readConfig(env)).toStrictEqual(readConfig({}));
    expect(isSet('redisUrl', env)).toBe(false);
  });

  test('a file that LONGRUN_CONFIG names must exist', () => {
    expect(problems({ LONGRUN_CONFIG: NO_FILE })).toStrictEqual([
      `LONGRUN_CONFIG names ${NO_FILE}, which does not exist.`,
    ]);
  });

  test.each([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ])('a switch may be written as %s', (text, value) => {
    expect(readConfig({ STRICT_PARAMETERS: text }, NO_FILE).strictParameters).toBe(value);
  });

  test('a switch in the file is true or false', () => {
    expect(readConfig({}, file({ parallelToolCalls: false })).parallelToolCalls).toBe(false);
  });

  test('a setting is set by either place, but not by its default', () => {
    expect(isSet('redisUrl', {}, NO_FILE)).toBe(false);
    expect(isSet('redisUrl', { REDIS_URL: '' }, NO_FILE)).toBe(false);
    expect(isSet('redisUrl', { REDIS_URL: 'redis://redis:6379' }, NO_FILE)).toBe(true);
    expect(isSet('redisUrl', {}, file({ redisUrl: 'redis://redis:6379' }))).toBe(true);
  });

  test('nobody can change the result', () => {
    const config = readConfig({ OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' }, NO_FILE);
    expect(
      [config, config.upstreams, config.upstreams[0], config.upstreams[0]?.aliases].every(Object.isFrozen),
    ).toBe(true);
  });
});

describe('what is refused', () => {
  test('every wrong setting is named at once, by the place it came from', () => {
    const from = file({ drainMs: -1, upstreams: [{ name: '', baseUrl: 'ftp://x' }], colour: 'blue' });
    const lines = problems(
      { PORT: 'eighty', LOG_LEVEL: 'loud', REDIS_URL: 'http://x', REDIS_PREFIX: 'a{b}' },
      from,
    );
    expect(lines).toHaveLength(8);
    for (const place of [
      'PORT: ',
      'LOG_LEVEL: ',
      'REDIS_URL: ',
      'REDIS_PREFIX: ',
      `${from}: drainMs: `,
      `${from}: upstreams.0.name: `,
      `${from}: upstreams.0.baseUrl: `,
      `${from}: top level: `,
    ]) {
      expect(
        lines.filter((line) => line.startsWith(place)),
        place,
      ).toHaveLength(1);
    }
  });

  test('the message of the error is the list', () => {
    expect(() => readConfig({ PORT: 'x', HEARTBEAT_MS: 'y' }, NO_FILE)).toThrow(
      /^The configuration has 2 problem\(s\):\n {2}- PORT: .*\n {2}- HEARTBEAT_MS: .*$/,
    );
  });

  test.each([['0.0.0.0'], ['::'], ['192.168.1.5'], ['example.com'], ['127.0.0.1.example.com']])(
    'no key is refused on %s, with what to set',
    (host) => {
      const [problem] = problems({ HOST: host });
      expect(problem).toContain(`HOST is ${host}`);
      expect(problem).toContain('Set AUTH=key and API_KEY.');
      expect(problems({ HOST: host, ...KEYED })).toStrictEqual([]);
    },
  );

  test.each([['127.0.0.1'], ['127.1.2.3'], ['localhost'], ['::1']])('no key is needed on %s', (host) => {
    expect(problems({ HOST: host })).toStrictEqual([]);
  });

  test('AUTH=key needs a key', () => {
    expect(problems({ AUTH: 'key' })).toStrictEqual([expect.stringContaining('API_KEY is not set')]);
  });

  test('AUTH=passthrough needs a SECRET to seal the keys of callers with, and may then be reached from anywhere', () => {
    expect(problems({ AUTH: 'passthrough' })).toStrictEqual([expect.stringContaining('SECRET is not set')]);
    expect(
      problems({ AUTH: 'passthrough', SECRET: `${SECRET}-of-some-length`, HOST: '0.0.0.0' }),
    ).toStrictEqual([]);
  });

  test.each([
    ['1', 1],
    ['loopback', ['loopback']],
    ['127.0.0.1, 10.0.0.0/8,fd00::/8', ['127.0.0.1', '10.0.0.0/8', 'fd00::/8']],
  ])('TRUST_PROXY=%s is a number of proxies or a list of their addresses', (text, value) => {
    expect(readConfig({ TRUST_PROXY: text }, NO_FILE).trustProxy).toStrictEqual(value);
    expect(readConfig({}, file({ trustProxy: value })).trustProxy).toStrictEqual(value);
  });

  test.each(['true', 'proxy.example', '-1', '33', '1.5', '10.0.0.0/0', '10.0.0.0/33', '10.0.0.0/8/8', '/8'])(
    'TRUST_PROXY=%s is neither',
    (text) => {
      expect(problems({ TRUST_PROXY: text })).toStrictEqual([
        expect.stringMatching(/^TRUST_PROXY: must be how many proxies .* or their addresses/),
      ]);
    },
  );

  test.each([
    [{ CORS_ORIGINS: 'chat.example.com' }, 'CORS_ORIGINS: must be origins'],
    [{ CORS_ORIGINS: 'https://chat.example.com/page' }, 'CORS_ORIGINS: must be origins'],
    [{ CORS_ORIGINS: 'null' }, 'CORS_ORIGINS: must be origins'],
    [{ ALLOWED_HOSTS: 'https://a.example' }, 'ALLOWED_HOSTS: must be host names'],
    [{ ALLOWED_HOSTS: 'a.example:8080' }, 'ALLOWED_HOSTS: must be host names'],
    [{ ALLOWED_HOSTS: 'a.*.example' }, 'ALLOWED_HOSTS: must be host names'],
  ])('%j is refused, with what to write', (env, line) => {
    expect(problems(env)).toStrictEqual([expect.stringContaining(line)]);
  });

  test('origins and names are taken as people write them', () => {
    const env = {
      CORS_ORIGINS: 'https://Chat.example.com/, app://local',
      ALLOWED_HOSTS: 'A.example, *.b.example,::5',
    };
    expect(readConfig(env, NO_FILE)).toMatchObject({
      corsOrigins: ['https://chat.example.com', 'app://local'],
      allowedHosts: ['a.example', '*.b.example', '::5'],
    });
    expect(readConfig({}, file({ corsOrigins: '*' })).corsOrigins).toStrictEqual(['*']);
  });

  test('a path of a device must be a path, and its profile one of the four', () => {
    const from = file({
      devicePaths: [
        { path: 'chat', profile: 'voice' },
        { path: '/chat', profile: 'radio' },
      ],
    });
    expect(problems({}, from)).toStrictEqual([
      expect.stringContaining('devicePaths.0.path'),
      expect.stringContaining('devicePaths.1.profile'),
    ]);
  });

  test.each([['[]'], ['"text"'], ['null']])('a file that holds %s is no configuration', (content) => {
    const from = file(content);
    expect(problems({}, from)).toStrictEqual([`${from} must hold one JSON object.`]);
  });

  test('a file that is no JSON is named', () => {
    const from = file('{"port": 1,}');
    expect(problems({}, from)).toStrictEqual([
      `${from} cannot be read as JSON: it breaks at line 1, column 12.`,
    ]);
  });

  test.each([
    ['a comma that is missing', '{\n  "port": 1\n  "host": "a"\n}', 'line 3, column 3'],
    ['text that ends too soon', '{\n  "port": 1', 'line 2, column 12'],
    ['a word without quotes', '{\n  "host": hello\n}', 'line 2, column 11'],
    [
      'one far from the beginning',
      `{\n  "redisPrefix": "${'a'.repeat(40)}",\n  "host": hello\n}`,
      'line 3, column 11',
    ],
  ])('%s is told by its line', (_, text, place) => {
    const from = file(text);
    expect(problems({}, from)).toStrictEqual([`${from} cannot be read as JSON: it breaks at ${place}.`]);
  });

  test.each([
    [{ PORT: 'abc' }, 'PORT: must be a number.'],
    [{ PORT: '1.5' }, 'PORT: must be a whole number.'],
    [{ PORT: '70000' }, 'PORT: must be 65535 or less.'],
    [{ LOCK_MS: '1' }, 'LOCK_MS: must be 1000 or more.'],
    [{ AUTH: 'maybe' }, "AUTH: must be 'none' or 'key' or 'passthrough'."],
    [{ PARALLEL_TOOL_CALLS: 'maybe' }, 'PARALLEL_TOOL_CALLS: must be true or false.'],
  ])('%j is told in words', (env, sentence) => {
    expect(problems(env)).toStrictEqual([sentence]);
  });
});

describe('upstreams', () => {
  const baseUrl = 'http://127.0.0.1:11434/v1';

  test('OPENAI_BASE_URL and OPENAI_API_KEY alone make one', () => {
    const { upstreams } = readConfig({ OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: 'k' }, NO_FILE);
    const none = { aliases: {}, visionModels: {}, modelSettings: {}, headers: {}, query: {} };
    expect(upstreams).toStrictEqual([
      {
        name: 'default',
        baseUrl,
        apiKey: 'k',
        models: [],
        ...none,
        secrets: [],
        preset: 'ollama',
        thinkTags: 'auto',
      },
    ]);
  });

  test('a key alone is for api.openai.com, a URL alone needs no key', () => {
    const [keyed] = readConfig({ OPENAI_API_KEY: 'k' }, NO_FILE).upstreams;
    const [open] = readConfig({ OPENAI_BASE_URL: baseUrl }, NO_FILE).upstreams;
    expect(keyed?.baseUrl).toBe('https://api.openai.com/v1');
    expect([open?.baseUrl, open?.apiKey]).toStrictEqual([baseUrl, undefined]);
  });

  test('hide what an address asks for: it may be a key', () => {
    const config = readConfig({ OPENAI_BASE_URL: `http://house/v1?key=${SECRET}` }, NO_FILE);
    expect(JSON.stringify(redacted(config))).not.toContain(SECRET);
    expect(redacted(config)).toMatchObject({ upstreams: [{ baseUrl: 'http://house/v1?redacted' }] });
  });

  test('may have limits and slots of their own', () => {
    const own = { idleMs: 1_000, stallMs: 2_000, thinkMs: 3_000, totalMs: 4_000, slots: 5 };
    const [house] = readConfig({}, file({ upstreams: [{ name: 'house', baseUrl, ...own }] })).upstreams;
    expect(house).toMatchObject(own);
  });

  test('the variables come after the file, and give way to an upstream named default', () => {
    const env = { OPENAI_BASE_URL: baseUrl };
    const house = { name: 'house', baseUrl: 'http://house/v1' };
    const own = { name: 'default', baseUrl: 'http://own/v1' };
    const said = (first: object): readonly string[] => {
      const { upstreams, notes } = readConfig(env, file({ upstreams: [first] }));
      return [...upstreams.map((upstream) => upstream.baseUrl), ...notes];
    };
    expect(said(house)).toStrictEqual([house.baseUrl, baseUrl]);
    expect(said({ ...own, baseUrl })).toStrictEqual([baseUrl]);
    const shadowed: unknown = expect.stringContaining('OPENAI_BASE_URL has no effect');
    expect(said(own)).toStrictEqual([own.baseUrl, shadowed]);
  });

  test('a base URL that is none is refused', () => {
    expect(problems({ OPENAI_BASE_URL: 'localhost:11434' })).toStrictEqual([
      expect.stringContaining('OPENAI_BASE_URL: must be an http or https URL'),
    ]);
  });

  test('apiKeyEnv names the variable that holds the key, which must be set', () => {
    const from = file({ upstreams: [{ name: 'house', baseUrl, apiKeyEnv: 'HOUSE_KEY' }] });
    expect(readConfig({ HOUSE_KEY: 'k' }, from).upstreams[0]?.apiKey).toBe('k');
    expect(problems({}, from)).toStrictEqual([
      "upstream 'house': its key should be in HOUSE_KEY, which is not set.",
    ]);
  });

  test.each(['constructor', '__proto__', 'toString'])(
    'no variable is found in what every object inherits: %s',
    (name) => {
      const from = file({ upstreams: [{ name: 'house', baseUrl, apiKeyEnv: name }] });
      expect(problems({}, from)).toStrictEqual([
        `upstream 'house': its key should be in ${name}, which is not set.`,
      ]);
    },
  );

  test('two of one name are refused', () => {
    const house = { name: 'house', baseUrl };
    expect(problems({}, file({ upstreams: [house, house] }))).toStrictEqual([
      "upstreams: two are named 'house'. Give each its own name.",
    ]);
  });
});

describe('documents of APIs', () => {
  const openapi = (entry: object): string => file({ openapi: [{ document: 'api.json', ...entry }] });

  test('have defaults', () => {
    expect(readConfig({}, openapi({})).openapi).toStrictEqual([
      {
        document: 'api.json',
        prefix: '',
        headers: {},
        headersEnv: {},
        timeoutMs: 10_000,
        maxResponseBytes: 262_144,
      },
    ]);
  });

  test('get headers from the file and from variables, which must be set and fit', () => {
    const from = openapi({ headers: { a: '1', b: '2' }, headersEnv: { b: 'B', c: 'C' } });
    const [found] = readConfig({ B: 'two', C: 'three' }, from).openapi;
    expect(found?.headers).toStrictEqual({ a: '1', b: 'two', c: 'three' });
    expect(problems({ B: `${SECRET}\n` }, from)).toStrictEqual([
      "openapi: the header 'b' should be in B, which is not set or is no single line.",
      "openapi: the header 'c' should be in C, which is not set or is no single line.",
    ]);
  });

  test('hide their headers, and what a URL asks for', () => {
    const from = openapi({
      document: `https://x/api.json?key=${SECRET}`,
      headers: { a: SECRET },
      headersEnv: { b: 'B' },
    });
    const text = JSON.stringify(redacted(readConfig({ B: SECRET }, from)));
    expect(text).not.toContain(SECRET);
    expect(text).toContain('https://x/api.json?[redacted]');
  });

  test.each([
    [{ document: `https://user:${SECRET}@x/api.json` }, 'document'],
    [{ baseUrl: `https://user:${SECRET}@x` }, 'baseUrl'],
    [{ baseUrl: `https://x/?key=${SECRET}` }, 'baseUrl'],
    [{ headers: { a: `${SECRET}\nb: c` } }, 'headers.a'],
    [{ headers: { 'a b': SECRET } }, 'headers'],
    [{ prefix: 'my tool' }, 'prefix'],
    [{ allow: [] }, 'allow'],
    [{ timeoutMs: 0 }, 'timeoutMs'],
    [{ colour: SECRET }, 'openapi.0'],
  ])('are refused with %j', (entry, place) => {
    const lines = problems({}, openapi(entry));
    expect(lines).toStrictEqual([expect.stringContaining(place)]);
    expect(lines.join()).not.toContain(SECRET);
  });
});

describe('who is asked by SEARCH', () => {
  const asked = (env: Env, from = NO_FILE): readonly string[] => readConfig(env, from).searchProviders;

  test('whoever is set up, or else the offline notes', () => {
    expect(asked({})).toStrictEqual(['offline']);
    expect(asked({ TAVILY_API_KEY: 'k' })).toStrictEqual(['tavily']);
    expect(
      asked({ TAVILY_API_KEY: 'k', BRAVE_API_KEY: 'k', SEARXNG_URL: 'http://house:8888' }),
    ).toStrictEqual(['searxng', 'brave', 'tavily']);
  });

  test('those that are named, in their order, by either place', () => {
    const env = { TAVILY_API_KEY: 'k', BRAVE_API_KEY: 'k' };
    expect(asked({ ...env, SEARCH_PROVIDERS: 'tavily, offline' })).toStrictEqual(['tavily', 'offline']);
    expect(asked(env, file({ searchProviders: ['brave', 'tavily'] }))).toStrictEqual(['brave', 'tavily']);
  });

  test('one that is named needs its key or address', () => {
    expect(problems({ SEARCH_PROVIDERS: 'searxng,brave,tavily,offline' })).toStrictEqual([
      'SEARCH_PROVIDERS names searxng, but SEARXNG_URL is not set. Set it, or leave searxng out.',
      'SEARCH_PROVIDERS names brave, but BRAVE_API_KEY is not set. Set it, or leave brave out.',
      'SEARCH_PROVIDERS names tavily, but TAVILY_API_KEY is not set. Set it, or leave tavily out.',
    ]);
  });

  test.each([
    [{ SEARCH_PROVIDERS: 'google' }, 'SEARCH_PROVIDERS: '],
    [{ SEARXNG_URL: 'house:8888' }, 'SEARXNG_URL: '],
    [{ SEARXNG_URL: 'http://me:sesame@house' }, 'SEARXNG_URL: must not hold a name or a password'],
    [{ SEARCH_CACHE_S: '-1' }, 'SEARCH_CACHE_S: '],
  ])('%j is refused', (env, line) => {
    expect(problems(env)).toStrictEqual([expect.stringContaining(line)]);
  });
});

describe('secrets', () => {
  const from = file({
    upstreams: [
      { name: 'a', baseUrl: 'http://a/v1', apiKey: SECRET },
      { name: 'b', baseUrl: 'http://b/v1', apiKeyEnv: 'B_KEY' },
    ],
  });
  const env = {
    ...KEYED,
    SECRET: `${SECRET}-of-some-length`,
    ADMIN_KEY: `${SECRET}-for-operators`,
    B_KEY: SECRET,
    OPENAI_API_KEY: SECRET,
    BRAVE_API_KEY: SECRET,
    TAVILY_API_KEY: SECRET,
    REDIS_URL: `redis://user:${SECRET}@127.0.0.1:1`,
  };

  test('are in the configuration but not in what may be logged', () => {
    const config = readConfig(env, from);
    expect(JSON.stringify(config).split(SECRET)).toHaveLength(10);
    expect(JSON.stringify(redacted(config))).not.toContain(SECRET);
    expect(redacted(config)).toMatchObject({ port: 8080, apiKey: '[redacted]' });
  });

  test('are not in problems, even when they are what is wrong', () => {
    const wrong = file({
      apiKey: [SECRET],
      redisUrl: `http://user:${SECRET}@x`,
      upstreams: [{ name: 'a', baseUrl: `ftp://${SECRET}@x`, apiKey: { key: SECRET } }],
    });
    const lines = problems({ ...env, REDIS_URL: '', API_KEY: '', AUTH: SECRET, PORT: SECRET }, wrong);
    expect(lines.length).toBeGreaterThanOrEqual(6);
    expect(lines.join()).not.toContain(SECRET);
  });
});

describe('MCP servers', () => {
  const files = { command: 'npx', args: ['--key', SECRET], env: { TOKEN: SECRET } };
  const crm = { url: `https://crm.example.com/mcp/${SECRET}`, headers: { 'x-key': SECRET } };

  test('are taken as other clients write them, with our defaults', () => {
    const from = file({ mcpServers: { files: { ...files, type: 'stdio' }, crm: { ...crm, type: 'http' } } });
    expect(readConfig({}, from).mcpServers).toMatchObject({
      files: { ...files, timeoutMs: 30_000 },
      crm: { ...crm, timeoutMs: 30_000 },
    });
  });

  test('get the secrets that the file only names, which must be set and fit into a header', () => {
    const from = file({
      mcpServers: {
        files: { command: 'npx', envFrom: { TOKEN: 'FILES_TOKEN' } },
        crm: { url: 'https://crm.example.com/mcp', headersEnv: { 'x-key': 'CRM_KEY' } },
      },
    });
    expect(readConfig({ FILES_TOKEN: 't', CRM_KEY: 'k' }, from).mcpServers).toMatchObject({
      files: { env: { TOKEN: 't' } },
      crm: { headers: { 'x-key': 'k' } },
    });
    expect(problems({ CRM_KEY: `${SECRET}\n` }, from)).toStrictEqual([
      'mcpServers.files.envFrom: the value for TOKEN should be in FILES_TOKEN, which is not set.',
      'mcpServers.crm.headersEnv: the value for x-key must be one line of ASCII characters.',
    ]);
  });

  test('are refused by the key that is wrong, without its value', () => {
    const wrong = {
      both: { command: 'npx', url: SECRET },
      none: {},
      strange: { url: 'https://x.example/sse', type: 'pigeons' },
      header: { url: 'https://x.example', headers: { 'x-key': `${SECRET}\n` } },
      odd: { command: 'npx', disabled: 'perhaps', timeoutMs: 5 },
    };
    const lines = problems({}, file({ mcpServers: wrong }));
    expect(lines.join()).not.toContain(SECRET);
    for (const place of [
      'both.url',
      'both',
      'none.command',
      'strange.type',
      'header.headers.x-key',
      'odd.timeoutMs',
    ]) {
      expect(lines.join('\n')).toContain(`: mcpServers.${place}: `);
    }
  });

  test('are logged without arguments, environment, headers and the path of the address', () => {
    const config = readConfig({}, file({ mcpServers: { files, crm } }));
    expect(JSON.stringify(redacted(config))).not.toContain(SECRET);
    expect(redacted(config)).toMatchObject({
      mcpServers: { files: { command: 'npx' }, crm: { url: 'https://crm.example.com' } },
    });
  });
});

describe('what an operator must never miss or leak', () => {
  test('settings that do not go together are named along with settings that are wrong in themselves', () => {
    const lines = problems({ PORT: 'eighty', HOST: '0.0.0.0', OPENAI_BASE_URL: 'nowhere' });
    expect(lines.map((line) => line.split(/[: ]/)[0])).toStrictEqual(
      expect.arrayContaining(['PORT', 'AUTH', 'OPENAI_BASE_URL']),
    );
  });

  test('a file that is no JSON is not quoted, it may hold a key', () => {
    expect(problems({}, file(`{"apiKey":${SECRET}}`)).join()).not.toContain(SECRET.slice(0, 6));
  });

  test('a password in the URL of an upstream is not logged', () => {
    const config = readConfig({ OPENAI_BASE_URL: `http://user:${SECRET}@127.0.0.1/v1` }, NO_FILE);
    expect(JSON.stringify(redacted(config))).not.toContain(SECRET);
  });
});

describe('docs/configuration.md', () => {
  const text = readFileSync(path.join(import.meta.dirname, '../docs/configuration.md'), 'utf8');
  /** The cells of the rows that begin with a variable's name. */
  const rows = [...text.matchAll(/^\| `([A-Z_]+)` \| (.+) \|$/gm)].map(([, name = '', rest = '']) => ({
    name,
    cells: rest.split(' | ').map((cell) => cell.replaceAll('`', '')),
  }));
  const withoutKey = ['LONGRUN_CONFIG', 'OPENAI_API_KEY', 'OPENAI_BASE_URL'];

  test('lists every variable once, and no others', () => {
    expect(rows.map(({ name }) => name).toSorted()).toStrictEqual(
      [...Object.keys(ENV), ...withoutKey].toSorted(),
    );
  });

  test('gives every variable its file key and its default', () => {
    const defaults = readConfig({}, NO_FILE);
    const listed = rows.filter(({ name }) => !withoutKey.includes(name));
    expect(listed.map(({ name, cells: [key, value] }) => [name, key, value])).toStrictEqual(
      listed.map(({ name }) => {
        const key = ENV[name];
        const value = key && defaults[key];
        return [name, key, typeof value === 'object' ? JSON.stringify(value) : String(value ?? 'none')];
      }),
    );
  });

  test('leaves no setting out', () => {
    const { notes: _notes, speechUpstream: _made, ...settings } = readConfig(KEYED, NO_FILE);
    for (const key of Object.keys(settings)) expect(text).toContain(`\`${key}\``);
  });

  test('shows an example of MCP servers that works', () => {
    const [, servers = ''] = /```json\n(\{\n {2}"mcpServers.+?)\n```/s.exec(text) ?? [];
    const config = readConfig({ CRM_KEY: SECRET }, file(servers));
    expect(Object.keys(config.mcpServers)).toStrictEqual(['files', 'crm']);
  });

  const [, example = ''] = /```json\n(.+?)\n```/s.exec(text) ?? [];

  test('shows an entry for an API that works', () => {
    const [, entry = ''] = /```json\n(\{\n {2}"openapi".+?)\n```/s.exec(text) ?? [];
    expect(readConfig({ WEATHER_KEY: SECRET }, file(entry)).openapi[0]?.headers).toStrictEqual({
      'X-Api-Key': SECRET,
    });
    for (const key of Object.keys(readConfig({}, file({ openapi: [{ document: 'a' }] })).openapi[0] ?? {}))
      expect(text).toContain(`| \`${key}\` |`);
  });

  test('shows an example that works, and says truly which model server answers', () => {
    const { upstreams } = readConfig({ PROVIDER_KEY: SECRET }, file(example));
    expect(upstreams.map(({ name, apiKey }) => [name, apiKey])).toStrictEqual([
      ['default', SECRET],
      ['house', undefined],
    ]);
    const [, section = ''] = text.split('### Which model server answers a run');
    const table = [...section.matchAll(/^\| `([^`]+)` \| ([^|]+) \| `([^`|]+)` \| `([^`]+)`/gm)];
    expect(table).toHaveLength(5);
    for (const [, model = '', backend = '', upstream, asked] of table) {
      for (const backendId of backend === '`house`' ? ['house'] : [null, 'default']) {
        const answer = route(upstreams, model, backendId);
        expect([answer.upstream.name, answer.model]).toStrictEqual([upstream, asked]);
      }
    }
  });
});
