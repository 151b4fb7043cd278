/**
 * `npm start`, `npm test` and the `npm run` of a program of src begin here, on whatever Node ≥ 20 the machine has: make the machine ready,
 * saying what is done, then hand over. Plain JavaScript without dependencies, because it runs before there are any.
 */
import { say } from './machine.mjs';
import { prepare } from './prepare.mjs';
import { api, importExports, start, worker } from './start.mjs';
import { runTests } from './test.mjs';

const verbs = { start, test: runTests, import: importExports, api, worker };
const verb = process.argv[2];
const run = Object.hasOwn(verbs, verb) ? verbs[verb] : null;

if (run === null) {
  say('use `npm start`, `npm test`, `npm run import`, `npm run api` or `npm run worker`.');
  process.exitCode = 2;
} else {
  const { tools, missing } = await prepare(verb);
  for (const sentence of missing) say(sentence);
  if (missing.length === 0) {
    process.exitCode = await run(tools);
  } else {
    process.exitCode = 1;
    if (verb === 'test') console.log('0 passed, 1 failed, 0 skipped');
  }
}
