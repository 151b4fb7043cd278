/** Forms as they come: in whatever pieces, the model is made out and nothing else is touched. */
import { expect, test } from 'vitest';
import { FormBody } from '../../src/api/forward/form-body.ts';
import { readForm, type FormPiece } from '../../src/api/forward/form.ts';
import { withModel } from '../../src/api/forward/json-model.ts';

const TYPE = 'multipart/form-data; charset=utf-8; boundary="-x y"; a=b';
const BOUNDARY = '-x y';
const field = (disposition: string, value: string): string =>
  `---x y \t\r\nX-Other: name="model"\r\ncontent-DISPOSITION: form-data; ${disposition}\r\n\r\n${value}\r\n`;
/** Values that look like delimiters, and files and fields that are called like the model. */
const FORM = [
  'a preamble\r\n',
  field('name="file"; filename="model"', '\r\n---x\r\n---x yz\r\n--\r\n\u0000'),
  field('name="model"; filename*=a', 'a file'),
  field('name="models"', 'none'),
  field('name="prompt"', ''),
  field('name="model"', 'the model'),
  field('name="model"', 'another'),
  '---x y--\r\nan epilogue\r\n---x y--',
].join('');

async function* inPieces(text: string, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size));
}

async function piecesOf(text: string, size: number): Promise<readonly FormPiece[]> {
  const pieces: FormPiece[] = [];
  for await (const piece of readForm(inPieces(text, size), BOUNDARY)) pieces.push(piece);
  return pieces;
}

const join = (buffers: readonly Uint8Array[]): string => Buffer.concat(buffers).toString();

/** As the model server gets it. */
async function renamed(text: string, size: number, imposed: string | null = null): Promise<string> {
  const form = new FormBody(inPieces(text, size), TYPE, () => {});
  await form.findModel(true, text.length);
  const chunks: Buffer[] = [];
  for await (const chunk of form.renamed(async (own) => imposed ?? `<${own}>`, imposed)) chunks.push(chunk);
  return join(chunks);
}

const SIZES = [...Array.from({ length: 40 }, (_, index) => index + 1), FORM.length];

test.each(SIZES)('in pieces of %i bytes', async (size) => {
  const pieces = await piecesOf(FORM, size);
  expect(join(pieces.map(({ bytes }) => bytes))).toBe(FORM);
  const models = pieces.flatMap((piece) => (piece.type === 'model' ? [piece.value] : []));
  expect(models).toEqual(['the model', 'another']);
  expect(pieces.filter(({ type }) => type === 'file').length).toBe(2);
  expect(await renamed(FORM, size)).toBe(FORM.replace('\r\nthe model\r\n', '\r\n<the model>\r\n'));
});

test('the name that a path imposes replaces the model, or is added where there is none', async () => {
  expect(await renamed(FORM, 7, 'n')).toBe(FORM.replace('\r\nthe model\r\n', '\r\nn\r\n'));
  const without = `${field('name="file"; filename=a', 'x')}---x y--\r\n`;
  expect(await renamed(without, 7, 'n')).toBe(
    `${field('name="file"; filename=a', 'x')}---x y\r\nContent-Disposition: form-data; name="model"\r\n\r\nn\r\n---x y--\r\n`,
  );
});

test.each(['', 'no form', '---x y', '---x y\r\nContent-Disp', FORM.slice(0, 200), FORM.slice(0, -60)])(
  'a form that breaks off goes on as it is: %j',
  async (text) => {
    expect(join((await piecesOf(text, 3)).map(({ bytes }) => bytes))).toBe(text);
  },
);

test.each([
  ['{}', '{"model":"n"}'],
  [' { } ', ' {"model":"n" } '],
  ['{"a":[{"model":"x"}]}', '{"model":"n","a":[{"model":"x"}]}'],
  ['{"a":"model","model":"x","model":null}', '{"a":"model","model":"n","model":"n"}'],
  ['{"a":"\\\\","model"\n:\t"x\\"}","b":"]"}', '{"a":"\\\\","model"\n:\t"n","b":"]"}'],
])('the model in JSON text: %s', (text, expected) => {
  expect(withModel(text, 'n')).toBe(expected);
});

test('a name that is no UTF-8 goes on as it came, and the length told is the one sent', async () => {
  const whole = Buffer.from(`${field('name="model"', 'm\u00FF')}---x y--`, 'latin1');
  async function* chunks(): AsyncGenerator<Buffer> {
    yield whole;
  }
  const form = new FormBody(chunks(), TYPE, () => {});
  const found = await form.findModel(false, 1_000);
  const to = { renames: false, nameOf: (name: string): string => name };
  const length = form.lengthRenamed(whole.length, { imposed: null, found, to });
  const sent: Buffer[] = [];
  for await (const piece of form.renamed(async (name) => name, null)) sent.push(piece);
  expect(Buffer.concat(sent)).toEqual(whole);
  expect(length).toBe(whole.length);
});
