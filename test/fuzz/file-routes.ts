/** The routes of files and uploads, with forms as clients send them and as they do not. */
import type { Random } from '../chaos/random.ts';
import { get, list, LONG, post, remove, some, type Draft, type Routes } from './drafts.ts';
import { oneOf, type Known } from './known.ts';

/** A part of a form; most have the names that they should have. */
const formPart = (random: Random, head: string, content: string): string =>
  `Content-Disposition: form-data; ${random.chance(0.95) ? head : random.pick(['', 'name', 'name="', 'name="__proto__"', 'filename="x"'])}\r\n\r\n${content}`;
const NAMES = ['a.txt', '../../a', 'C:\\a', '图.png', '', '.', 'x'.repeat(5_000), 'a\u0000b', '"'];
const PURPOSES = ['assistants', 'vision', 'batch', 'user_data', 'assistants_output', 'fun', ''];

/** A form with a file, its parts in any order; some are cut off, or have no end. */
function form(random: Random, field: string, fields: readonly (readonly [string, string])[]): Draft['form'] {
  const boundary = random.pick(['b', '----x', 'a=b', "'()+_,-./:=?"]);
  const file = (): string =>
    formPart(
      random,
      `name="${field}"; filename="${random.pick(NAMES)}"`,
      random.pick(['', 'hello', 'x'.repeat(LONG), `\r\n--${boundary}`]),
    );
  const parts = [file(), ...fields.map(([name, value]) => formPart(random, `name="${name}"`, value))];
  if (random.chance(0.1)) parts.push(file());
  if (random.chance(0.5)) parts.reverse();
  const text = `${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n`;
  return { boundary, text: random.chance(0.9) ? text : text.slice(0, random.between(0, text.length)) };
}

const fileForm = (random: Random): Draft['form'] =>
  form(random, 'file', [
    ['purpose', random.pick(PURPOSES)],
    ...(random.chance(0.3)
      ? ([
          ['expires_after[anchor]', 'created_at'],
          ['expires_after[seconds]', random.pick(['3600', '1', 'x', '9'.repeat(40)])],
        ] as const)
      : []),
  ]);
const filePath = (random: Random, known: Known): string =>
  `/v1/files/${oneOf(random, known.files) ?? 'file-none'}`;
const uploadPath = (random: Random, known: Known): string =>
  `/v1/uploads/${oneOf(random, known.uploads) ?? 'upload_none'}`;

export const FILE_ROUTES: Routes = {
  'POST /v1/files': [5, (random) => ({ method: 'POST', target: '/v1/files', form: fileForm(random) })],
  'GET /v1/files': [
    2,
    get((random, known) => {
      const query = list(random, known);
      return `/v1/files${query}${query === '' ? '?' : '&'}purpose=${random.pick(PURPOSES)}`;
    }),
  ],
  'GET /v1/files/:file_id': [2, get(filePath)],
  'GET /v1/files/:file_id/content': [2, get((random, known) => `${filePath(random, known)}/content`)],
  'DELETE /v1/files/:file_id': [2, remove(filePath)],
  'POST /v1/import/files/:file_id': [
    2,
    (random, known) => ({
      method: 'POST',
      target: `/v1/import/files/${random.chance(0.5) ? `file-f${random.between(0, 99)}` : (oneOf(random, known.files) ?? '..')}`,
      form: form(random, 'file', [
        ['purpose', random.pick(PURPOSES)],
        ['created_at', random.pick(['1700000000', '-1', 'x', '9'.repeat(40)])],
        ...(random.chance(0.3) ? ([['expires_at', random.pick(['1', '4000000000'])]] as const) : []),
      ]),
    }),
  ],
  'POST /v1/uploads': [
    3,
    post(
      () => '/v1/uploads',
      (random) => ({
        bytes: random.pick([5, 1, LONG, 0, -1, 1e12]),
        filename: random.pick(NAMES),
        mime_type: 'text/plain',
        purpose: random.pick(PURPOSES),
        ...some(random, { expires_after: { anchor: 'created_at', seconds: 3_600 } }),
      }),
    ),
  ],
  'POST /v1/uploads/:upload_id/parts': [
    3,
    (random, known) => ({
      method: 'POST',
      target: `${uploadPath(random, known)}/parts`,
      form: form(random, 'data', []),
    }),
  ],
  'POST /v1/uploads/:upload_id/complete': [
    3,
    post(
      (random, known) => `${uploadPath(random, known)}/complete`,
      (random, known) => ({
        part_ids: Array.from(
          { length: random.between(0, 3) },
          () => oneOf(random, known.parts) ?? 'part_none',
        ),
        ...some(random, { md5: '5d41402abc4b2a76b9719d911017c592' }),
      }),
    ),
  ],
  'POST /v1/uploads/:upload_id/cancel': [
    1,
    post(
      (random, known) => `${uploadPath(random, known)}/cancel`,
      () => undefined,
    ),
  ],
};
