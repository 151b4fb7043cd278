/** What passed between the device and the server, as whoever builds a device wants to see it. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import { codeView, copyButton, size } from '../views.ts';

/** One request and its answer. */
export interface Exchange {
  /** Below the origin, with its query. */
  readonly path: string;
  readonly body: object;
  readonly hasKey: boolean;
  /** `HTTP 200` and the headers that matter; empty until they have come. */
  head: string;
  /** The body of the answer as it came, up to {@link MAX_CHARS}. */
  text: string;
  isOver: boolean;
}

/** Of one answer. */
const MAX_CHARS = 100_000;
const SHOWN_HEADERS = ['content-type', 'x-request-id', 'x-thread-id', 'server-timing', 'retry-after'];

export class WireLog {
  /** The newest last. */
  readonly exchanges: Exchange[] = [];

  begin(path: string, body: object, hasKey: boolean): Exchange {
    const exchange = { path, body, hasKey, head: '', text: '', isOver: false };
    this.exchanges.push(exchange);
    return exchange;
  }
}

export function noteHead(exchange: Exchange, { status, statusText, headers }: Response): void {
  const shown = SHOWN_HEADERS.flatMap((name) => {
    const value = headers.get(name);
    return value === null ? [] : [`${name}: ${value}`];
  });
  exchange.head = [`HTTP ${status} ${statusText}`.trim(), ...shown].join('\n');
}

export function noteText(exchange: Exchange, text: string): void {
  exchange.text += text.slice(0, Math.max(0, MAX_CHARS - exchange.text.length));
}

export function wireView({ exchanges }: WireLog): TemplateResult {
  return html`<details class="card wire">
    <summary>${say('What goes over the wire', '通信内容')} (${exchanges.length})</summary>
    ${
      exchanges.length === 0
        ? html`<p class="quiet">
            ${say('Ask something; its request and answer are then here, line by line.', '提问后，请求和回答会逐行显示在这里。')}
          </p>`
        : nothing
    }
    ${exchanges.map(exchangeView)}
  </details>`;
}

function exchangeView(exchange: Exchange, index: number): TemplateResult {
  const number = index + 1;
  const { head, text, isOver } = exchange;
  const answer = [head, text].filter((part) => part !== '').join('\n\n');
  return html`<h3>${say(`Request ${number}`, `请求 ${number}`)}</h3>
    ${codeView(requestText(exchange), say(`Request ${number}`, `请求 ${number}`))}
    <div class="buttons">${copyButton(() => curlOf(exchange), say('Copy as curl', '复制为 curl'))}</div>
    <h3>${say(`Answer ${number}`, `回答 ${number}`)}</h3>
    ${codeView(answer || waiting(isOver), say(`Answer ${number}`, `回答 ${number}`))}`;
}

function waiting(isOver: boolean): string {
  return isOver ? say('None came.', '没有回答。') : say('Waiting …', '等待中……');
}

function requestText({ path, body, hasKey }: Exchange): string {
  const key = hasKey ? ['authorization: Bearer …'] : [];
  return [
    `POST ${path}`,
    'content-type: application/json',
    ...key,
    '',
    JSON.stringify(body, shortened, 2),
  ].join('\n');
}

/** Pictures are too long to be looked at as text. */
function shortened(_: string, value: unknown): unknown {
  if (typeof value !== 'string' || !value.startsWith('data:')) return value;
  return `${value.slice(0, 40)}… (${size(value.length)})`;
}

/** The same request by curl, its key left to the environment. */
function curlOf({ path, body, hasKey }: Exchange): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  const key = hasKey ? ' -H "Authorization: Bearer $API_KEY"' : '';
  return `curl -N ${quoted(location.origin + path)}${key} -H 'Content-Type: application/json' -d ${quoted(JSON.stringify(body))}`;
}
