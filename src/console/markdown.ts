/**
 * Answers of models are written in Markdown. This draws them from the parts that `marked` finds, each as an element of ours or as
 * text: HTML in an answer is shown as text, and links lead to web pages or nowhere.
 */
import { html, nothing, type TemplateResult } from 'lit-html';
import { Lexer, type MarkedToken, type Token, type Tokens } from 'marked';
import { piecesOf, type MarkdownPiece } from './markdown-pieces.ts';
import { say } from './say.ts';

type Drawn = TemplateResult | string | typeof nothing | readonly Drawn[];

/** The longest text that is read as Markdown; longer ones are shown as they are. */
const MAX_LENGTH = 200_000;
/** The longest paragraph in which marks are looked for: with some texts that takes the square of their length. */
const MAX_PARAGRAPH = 4_000;
/** How long a text is read, in milliseconds. What is left then is shown as it is. */
const MAX_MS = 400;
/** How deep lists and quotes are drawn within each other. */
const MAX_DEPTH = 24;

/** Draws a link in a way of its own; null for one like others. */
export type OwnLink = (href: string, text: unknown) => TemplateResult | null;
const likeOthers: OwnLink = () => null;
/** Of the text that is being drawn, which is done at once. */
let ownLink = likeOthers;
let depth = 0;

export function markdown(text: string, own: OwnLink = likeOthers): TemplateResult {
  ownLink = own;
  try {
    if (text.length <= MAX_LENGTH) return html`<div class="markdown">${blocks(tokensOf(text))}</div>`;
  } catch {
    // Quotes in quotes in quotes: too deep to be read.
  } finally {
    ownLink = likeOthers;
    depth = 0;
  }
  return html`<pre class="code" tabindex="0" aria-label=${say('Text', '文本')}>${text}</pre>`;
}

/** As `marked.lexer` does it, piece by piece and within limits. */
function tokensOf(text: string): readonly Token[] {
  const deadline = performance.now() + MAX_MS;
  return piecesOf(text.replace(/\r\n?/g, '\n')).flatMap((piece) => tokensIn(piece, deadline));
}

function tokensIn({ text, isReadable }: MarkdownPiece, deadline: number): readonly Token[] {
  if (!isReadable || performance.now() > deadline) return [asItIs(text)];
  const lexer = new Lexer({ gfm: true, breaks: true });
  const tokens = lexer.blockTokens(text, lexer.tokens);
  // It grows on the way.
  for (const { src, tokens: found } of lexer.inlineQueue) {
    if (src.length > MAX_PARAGRAPH || performance.now() > deadline) found.push(asItIs(src));
    else lexer.inlineTokens(src, found);
  }
  return tokens;
}

const asItIs = (text: string): Tokens.Text => ({ type: 'text', raw: text, text, escaped: false });

function blocks(tokens: readonly Token[] = []): Drawn {
  if (depth >= MAX_DEPTH) return tokens.map(({ raw }) => raw);
  depth += 1;
  const drawn = tokens.map((token) => (isKnown(token) ? block(token) : token.raw));
  depth -= 1;
  return drawn;
}

/** Every token is one of these, as long as `marked` is not extended. */
function isKnown(token: Token): token is MarkedToken {
  return typeof token.type === 'string';
}

function block(token: MarkedToken): Drawn {
  switch (token.type) {
    case 'space':
    case 'def':
      return nothing;
    case 'heading':
      return heading(token);
    case 'paragraph':
      return html`<p>${inlines(token.tokens)}</p>`;
    case 'code':
      return html`<pre
        class="code"
        tabindex="0"
        aria-label=${say('Code', '代码')}
      ><code>${token.text}</code></pre>`;
    case 'blockquote':
      return html`<blockquote>${blocks(token.tokens)}</blockquote>`;
    case 'list':
      return list(token);
    case 'table':
      return table(token);
    case 'hr':
      return html`<hr />`;
    case 'text':
      return plain(token);
    case 'br':
    case 'checkbox':
    case 'codespan':
    case 'del':
    case 'em':
    case 'escape':
    case 'html':
    case 'image':
    case 'link':
    case 'list_item':
    case 'strong':
      return html`<p>${token.raw}</p>`;
  }
}

/** Headings of an answer stand below those of the page. */
function heading({ depth, tokens }: Tokens.Heading): TemplateResult {
  return depth <= 2 ? html`<h4>${inlines(tokens)}</h4>` : html`<h5>${inlines(tokens)}</h5>`;
}

function list({ ordered, start, items }: Tokens.List): TemplateResult {
  const drawn = items.map((item) => html`<li>${box(item)}${blocks(item.tokens)}</li>`);
  return ordered
    ? html`<ol start=${start || 1}>
        ${drawn}
      </ol>`
    : html`<ul>
        ${drawn}
      </ul>`;
}

/** Whether a task is done. */
function box({ task, checked }: Tokens.ListItem): string {
  if (!task) return '';
  return checked === true ? '☑ ' : '☐ ';
}

function table({ header, rows }: Tokens.Table): TemplateResult {
  return html`<div class="scrolls" tabindex="0" role="region" aria-label=${say('Table', '表格')}>
    <table>
      <thead>
        <tr>
          ${header.map(({ tokens }) => html`<th scope="col">${inlines(tokens)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map(({ tokens }) => html`<td>${inlines(tokens)}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function inlines(tokens: readonly Token[] = []): Drawn {
  return tokens.map((token) => (isKnown(token) ? inline(token) : token.raw));
}

function inline(token: MarkedToken): Drawn {
  switch (token.type) {
    case 'strong':
      return html`<strong>${inlines(token.tokens)}</strong>`;
    case 'em':
      return html`<em>${inlines(token.tokens)}</em>`;
    case 'del':
      return html`<del>${inlines(token.tokens)}</del>`;
    case 'codespan':
      return html`<code>${token.text}</code>`;
    case 'br':
      return html`<br />`;
    case 'link':
      return webLink(token.href, inlines(token.tokens));
    case 'image':
      // Loading it would tell a stranger's server that somebody reads this.
      return webLink(token.href, token.text || token.href);
    case 'escape':
      return token.text;
    case 'text':
      return plain(token);
    case 'blockquote':
    case 'checkbox':
    case 'code':
    case 'def':
    case 'heading':
    case 'hr':
    case 'html':
    case 'list':
    case 'list_item':
    case 'paragraph':
    case 'space':
    case 'table':
      return token.raw;
  }
}

function plain(token: Tokens.Text | Tokens.Tag): Drawn {
  return 'tokens' in token && token.tokens !== undefined ? inlines(token.tokens) : token.text;
}

function webLink(href: string, text: Drawn): TemplateResult {
  const own = ownLink(href, text);
  if (own !== null) return own;
  return isWebAddress(href)
    ? html`<a href=${href} target="_blank" rel="noopener noreferrer nofollow">${text}</a>`
    : html`<span title=${href}>${text}</span>`;
}

export function isWebAddress(href: string): boolean {
  if (!URL.canParse(href)) return false;
  return ['http:', 'https:', 'mailto:'].includes(new URL(href).protocol);
}
