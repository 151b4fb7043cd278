/** The examples of docs/operations.md: units, archives, a list page, and the way of objects from one Longrun to another. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { missingShell } from '../devices/documents.ts';
import { assistant, pagesOf } from '../import/exports.ts';
import { blocksOf, REPOSITORY } from './blocks.ts';
import { scripts, type Check } from './checks.ts';

const DOCUMENT = 'docs/operations.md';

/** A unit of systemd runs a script that there is. */
export const isUnit: Check = ({ text }) => {
  const [, script = ''] =
    /^ExecStart=\/usr\/bin\/npm run --silent (\w+)$/m.exec(text) ?? expect.fail('starts nothing');
  expect(Object.keys(scripts)).toContain(script);
  expect(text).toMatch(/^KillMode=mixed$/m);
};

/** The units that are started are those that the document has names for. */
export const startsUnits: Check = ({ text }) => {
  expect(text).toMatch(/^sudo systemctl enable --now longrun-api longrun-worker@1 longrun-worker@2$/m);
  const units = blocksOf(DOCUMENT).filter((block) => block.text.startsWith('[Unit]'));
  expect(units).toHaveLength(1);
};

/** What is packed is what `npm start` keeps. */
export const isPacked: Check = async ({ text }, stage, context) => {
  const missing = await missingShell();
  if (missing !== null) return context.skip(missing);
  await mkdir(join(stage.folder, '.data/redis'), { recursive: true });
  await stage.write('.data/redis/appendonly.aof', 'conversations');
  await mkdir(join(stage.folder, '.data/files'), { recursive: true });
  await stage.write('.data/files/file-1', 'a file');
  await stage.write('.data/secret', 'a secret');
  await stage.write('.data/api.log', 'a log');
  expect(await stage.type(text)).toMatchObject({ code: 0, stderr: '' });
};

/** What was packed is there again, and nothing else. */
export const isUnpacked: Check = async ({ text }, stage, context) => {
  const missing = await missingShell();
  if (missing !== null) return context.skip(missing);
  await rm(join(stage.folder, '.data'), { recursive: true });
  expect(await stage.type(text)).toMatchObject({ code: 0, stderr: '' });
  expect((await readdir(join(stage.folder, '.data'))).toSorted()).toEqual(['files', 'redis', 'secret']);
};

/** The page is of the form that is taken: the same as those of the tests of the import. */
export const isPage: Check = ({ text }) => {
  const page: unknown = JSON.parse(text);
  const [known = {}] = pagesOf([assistant('a')], 10);
  expect(Object.keys(page ?? {})).toEqual(Object.keys(known));
};

/** What one Longrun lists, another takes; here both are one, which has it already. */
export const isMoved: Check = async ({ text }, stage, context) => {
  const missing = await missingShell();
  if (missing !== null) return context.skip(missing);
  const { baseUrl } = await stage.service();
  await fetch(`${baseUrl}/assistants`, {
    method: 'POST',
    body: JSON.stringify({ model: 'm', name: 'mover' }),
  });
  const importing = `${process.execPath} ${join(REPOSITORY, 'src/import/main.ts')}`;
  const command = text.replace('http://OTHER:8080/v1', baseUrl).replace('npm run import --', importing);
  const ended = await stage.type(command);
  expect(ended.stderr).toContain('0 imported, 1 were there already, 0 not taken.');
};
