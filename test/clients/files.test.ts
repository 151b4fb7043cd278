/** Files and hosted tools as the official Python SDKs use them; the Node SDKs are in test/api/file-helpers.test.ts. */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { options } from '../sandbox/options.ts';
import { hasBubblewrap } from '../sandbox/sandbox.ts';
import { calls, says } from '../support/upstream.ts';
import { withSharedService } from '../support/shared-service.ts';
import { INSTALL_MS, pythonWithOpenAi, runProgram, type Python } from './programs.ts';

// Where the packages of the interpreter are not there yet, they are set up, which takes a minute or two.
vi.setConfig({ testTimeout: 400_000 });

const PROGRAM = fileURLToPath(new URL('files/helpers.py', import.meta.url));
const canRun = await hasBubblewrap();
const CODE = 'print(6 * 7)';

const { upstream, service } = withSharedService({ CODE_FOLDER: options().codeFolder, POLL_AFTER_MS: '20' });

beforeAll(async () => {
  upstream.reply(({ text, outputs }) => {
    const isSearch = text.includes('Naples');
    if (outputs.length > 0) return says(isSearch ? 'Pizza【1:0†foods.md】.' : 'It is 42.');
    const search = { name: 'file_search', arguments: { queries: ['Naples'] } };
    return calls([isSearch ? search : { name: 'code_interpreter', arguments: { code: CODE } }]);
  });
});

const search = {
  statuses: ['completed', 'completed'],
  read: 3,
  stores: 1,
  found: 'foods.md',
  heard: {
    created: ['file_search'],
    done: ['file_search'],
    code: '',
    logs: '',
    text: 'Pizza【1:0†foods.md】.',
    cited: 'Pizza[0].',
    citations: ['[0] foods.md'],
  },
};
const code = {
  files: 1,
  heard: {
    created: ['code_interpreter'],
    done: ['code_interpreter'],
    code: CODE,
    logs: '42\n',
    text: 'It is 42.',
    cited: 'It is 42.',
    citations: [],
  },
};

describe.each([2, 3])('openai %i', (major) => {
  let python: Python;
  beforeAll(async () => {
    python = await pythonWithOpenAi(major);
  }, INSTALL_MS);

  test('uploads and polls, attaches, hears searches and code as they come, and reads citations', async (context) => {
    if ('missing' in python) return context.skip(python.missing);
    const tools = ['file_search', ...(canRun ? ['code_interpreter'] : [])];
    const args = ['-W', 'ignore', PROGRAM, service.baseUrl, ...tools];
    const { code: exit, stdout, stderr } = await runProgram(python.path, args);
    expect(stderr).toBe('');
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ file_search: search, ...(canRun && { code_interpreter: code }) });
  });
});
