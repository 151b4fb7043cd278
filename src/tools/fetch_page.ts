/**
 * The tool `fetch_page`: the readable text of one web page. Decides which kinds of answers can be read, and in which
 * character set; the guarded fetch decides what may be fetched at all.
 */
import { z } from 'zod';
import { defineTool, ToolError, type ToolContext } from '../runs/tool.ts';
import { cut } from './web/cut.ts';

const DEFAULT_CHARACTERS = 8_000;
/** About 5,000 tokens of English or 20,000 of Chinese: more would crowd out the conversation. */
const MAX_CHARACTERS = 20_000;
/** The longest articles are smaller; anything bigger is no page for reading. */
const MAX_PAGE_BYTES = 2 * 1024 * 1024;
const MAX_URL_CHARACTERS = 2_000;
const TIMEOUT_MS = 15_000;
/** Leaves time to process the page. */
const FETCH_MS = 11_000;
/** Browsers look this far for a page's own declaration of its character set. */
const CHARSET_WITHIN_BYTES = 1_024;

const URL_ADVICE = 'url must be a full address of a web page, for example "https://example.com/news".';
const LENGTH_ADVICE = `max_characters must be a whole number from 1 to ${MAX_CHARACTERS}.`;

const parameters = z.object(
  {
    url: z
      .url({ protocol: /^https?$/, error: URL_ADVICE })
      .max(MAX_URL_CHARACTERS, { error: `url must not be longer than ${MAX_URL_CHARACTERS} characters.` })
      .describe('The full address of the page, beginning with https:// or http://.'),
    max_characters: z
      .int({ error: LENGTH_ADVICE })
      .min(1, { error: LENGTH_ADVICE })
      .max(MAX_CHARACTERS, { error: LENGTH_ADVICE })
      .optional()
      .describe(`How much of the text to read at most. Default ${DEFAULT_CHARACTERS}.`),
  },
  { error: `The arguments must be a JSON object. ${URL_ADVICE}` },
);

/** What the tool answers. */
export interface PageAnswer {
  /** The page's address after redirects. */
  readonly url: string;
  readonly title: string;
  readonly byline?: string;
  readonly text: string;
  /** Whether there is more of the text. */
  readonly truncated: boolean;
}

export default defineTool({
  name: 'fetch_page',
  description:
    'Reads one page of the web and gives its main text. Use it for an address that the user gave or that a search found.',
  parameters,
  timeoutMs: TIMEOUT_MS,
  async run({ url, max_characters: length = DEFAULT_CHARACTERS }, context): Promise<PageAnswer> {
    const { response, bytes } = await load(url, context);
    const [type = '', ...attributes] = (response.headers.get('content-type') ?? '').split(';');
    const kind = kindOf(type.trim().toLowerCase());
    if (kind === null)
      throw new ToolError(`${url} is of type ${cut(type.trim(), 100)}, which cannot be read as text.`);
    const page = decode(bytes, attributes.join(';'), kind);
    const { title, byline, text } = await read(page, kind);
    const shown = cut(text, length);
    return {
      url: response.url || url,
      title: cut(title, MAX_TITLE_CHARACTERS),
      ...(byline !== null && { byline: cut(byline, MAX_TITLE_CHARACTERS) }),
      text: shown,
      truncated: shown.length < text.length,
    };
  },
});

/** A longer title is not one. */
const MAX_TITLE_CHARACTERS = 300;

async function read(
  page: string,
  kind: 'html' | 'text',
): Promise<Pick<PageAnswer, 'title' | 'text'> & { readonly byline: string | null }> {
  if (kind === 'text') return { title: '', byline: null, text: page.trim().toWellFormed() };
  // What reads HTML is large, so it is loaded with the first page.
  const { readArticle } = await import('./fetch_page/article.ts');
  return readArticle(page);
}

async function load(
  url: string,
  { fetch, signal }: ToolContext,
): Promise<{ readonly response: Response; readonly bytes: Uint8Array }> {
  let response: Response;
  try {
    response = await fetch(url, {
      headers: { accept: 'text/html, text/plain, application/json, text/*;q=0.9, */*;q=0.1' },
      maxBytes: MAX_PAGE_BYTES,
      timeoutMs: FETCH_MS,
      signal,
    });
    if (response.ok) return { response, bytes: new Uint8Array(await response.arrayBuffer()) };
    await response.body?.cancel();
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    throw new ToolError(`${url} could not be fetched: ${reason}`, { cause: error });
  }
  throw new ToolError(`${url} cannot be read: its server answered with HTTP status ${response.status}.`);
}

/** How to read a content type; null when it cannot be read. Servers without a content type mostly send pages. */
function kindOf(type: string): 'html' | 'text' | null {
  if (type === '' || type === 'text/html' || type === 'application/xhtml+xml') return 'html';
  return /^text\/|^application\/(?:json|xml|ld\+json|[\w.-]+\+(?:json|xml))$/.test(type) ? 'text' : null;
}

/** Decodes with the character set that the header names, or else the page itself; many older pages are not in UTF-8. */
function decode(bytes: Uint8Array, attributes: string, kind: 'html' | 'text'): string {
  const named = CHARSET.exec(attributes)?.[1] ?? (kind === 'html' ? ownWord(bytes) : undefined);
  try {
    return new TextDecoder(named ?? 'utf-8').decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}

const CHARSET = /charset\s*=\s*["']?([\w.:-]+)/i;

function ownWord(bytes: Uint8Array): string | undefined {
  const [, name] =
    CHARSET.exec(new TextDecoder('latin1').decode(bytes.subarray(0, CHARSET_WITHIN_BYTES))) ?? [];
  return name;
}
