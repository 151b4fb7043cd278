/** Large packages that most services never use lie in no process until they are needed. */
import { expect, inject, test } from 'vitest';
import { startService } from '../support/service.ts';
import { FakeUpstream } from '../support/upstream.ts';

/** Makes a process say, when it ends, which files it has loaded. */
const TELL = `
  import { registerHooks } from 'node:module';
  import { writeSync } from 'node:fs';
  const urls = [];
  registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) });
  process.on('exit', () => writeSync(1, 'loaded ' + urls.join(' ') + '\\n'));`;

const NEEDED_LATER = [
  // An MCP server.
  '@modelcontextprotocol/client',
  // An OpenAPI document.
  '@apidevtools/swagger-parser',
  // The first web page, or the first results of a search.
  'linkedom',
  '@mozilla/readability',
  // A service without a model, and then only in the process that starts the others.
  '@copilotkit/aimock',
];

test('an API and a worker load no package that they have no use for', async () => {
  const upstream = await FakeUpstream.start();
  const service = await startService({
    redisUrl: inject('redisUrl'),
    upstream,
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(TELL)}` },
  });
  await service.stop();
  await upstream.stop();
  const lists = service.logs.map(({ msg }) => msg).filter((msg) => msg.startsWith('loaded '));
  expect(lists).toHaveLength(2);
  for (const list of lists) {
    expect(list).toContain('/node_modules/bullmq/');
    expect(NEEDED_LATER.filter((name) => list.includes(`/node_modules/${name}/`))).toEqual([]);
  }
});
