/**
 * The web console: one page for all its addresses, and the files that the page loads. Nothing of it is secret, so none of it
 * needs a key; what the page shows comes from the API, with the key of whoever looks.
 */
import { ApiError, echo } from '../../errors.ts';
import type { Call } from '../http/call.ts';
import type { Answer, Endpoint } from '../http/endpoint.ts';
import { ASSETS_PATH, type ConsoleAssets } from './assets.ts';
import type { Asset } from './build.ts';

/** Its version is part of a file's address, so what was loaded once is good for ever. */
const FOR_EVER = 'public, max-age=31536000, immutable';

export function consoleEndpoints(assets: ConsoleAssets): readonly Endpoint[] {
  const page = async (call: Call): Promise<Answer> => pageAnswer(call, assets);
  return [
    {
      method: 'GET',
      path: `${ASSETS_PATH}/*name`,
      handle: async (call) => {
        const name = call.part('name');
        const file = (await assets.get()).files.get(name);
        if (file === undefined)
          throw new ApiError(404, `The console has no file '${echo(name)}'. Load the page anew.`);
        return sent(call, file, { 'cache-control': FOR_EVER });
      },
    },
    { method: 'GET', path: '/console', handle: page },
    { method: 'GET', path: '/console/*place', handle: page },
  ];
}

/** `/` for people: the console for browsers, and for programs what they had before. */
export function forBrowsers(root: Endpoint, assets: ConsoleAssets): Endpoint {
  return {
    ...root,
    handle: async (call) => {
      if (call.header('accept')?.includes('text/html') === true) return pageAnswer(call, assets);
      const answer = await root.handle(call);
      return { ...answer, headers: { ...answer.headers, vary: 'accept' } };
    },
  };
}

async function pageAnswer(call: Call, assets: ConsoleAssets): Promise<Answer> {
  const { page, importMapDigest } = await assets.get();
  return sent(call, page, {
    // Programs get something else at `/`.
    vary: 'accept, accept-encoding',
    'cache-control': 'no-cache',
    'content-security-policy': policy(importMapDigest),
    'x-frame-options': 'DENY',
  });
}

/**
 * Scripts and styles come from here, and nothing else does: no text of a model, a file or a tool can become a part of the page.
 * Pictures are shown from files that the page has fetched with its key.
 */
function policy(importMapDigest: string): string {
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${importMapDigest}'`,
    "style-src 'self'",
    "img-src 'self' blob: data:",
    'media-src blob:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    'trusted-types lit-html',
  ].join('; ');
}

function sent(call: Call, file: Asset, headers: Readonly<Record<string, string>>): Answer {
  const [encoding, bytes] = encoded(call, file);
  return {
    type: 'bytes',
    status: 200,
    headers: {
      vary: 'accept-encoding',
      ...headers,
      'content-type': file.type,
      'content-length': String(bytes.length),
      ...(encoding !== null && { 'content-encoding': encoding }),
    },
    chunks: once(call.wantsBody ? bytes : null),
  };
}

function encoded(call: Call, file: Asset): readonly [string | null, Uint8Array] {
  if (call.takesEncoding('br')) return ['br', file.brotli];
  return call.takesEncoding('gzip') ? ['gzip', file.gzip] : [null, file.plain];
}

async function* once(bytes: Uint8Array | null): AsyncGenerator<Uint8Array, void> {
  if (bytes !== null) yield bytes;
}
