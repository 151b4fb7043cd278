/** The line for a terminal that does what the page would show. */
import { html, type TemplateResult } from 'lit-html';
import type { App } from '../app.ts';
import { say } from '../say.ts';
import { codeView, copyButton } from '../views.ts';

/** @param rest what follows the address, such as `-d '{}'` */
export function curlView(app: App, path: string, rest: string): TemplateResult {
  // Not the key itself: pages are shown to others, and copied.
  const key = app.session.key === null ? '' : " \\\n  -H 'Authorization: Bearer YOUR-KEY'";
  const command = `curl ${app.api.base}${path}${key} \\\n  ${rest}`;
  return html`<div class="curl">
    ${codeView(command, say('Command for a terminal', '终端命令'))}
    <p>${copyButton(() => command)}</p>
  </div>`;
}

export const JSON_BODY = "-H 'Content-Type: application/json' -d";

/** JSON as a word for a shell. What turns the direction of text is written as an escape: the command is to look like what it is. */
export function shellText(value: unknown): string {
  const text = JSON.stringify(value)
    .replaceAll(
      /[\u200E\u200F\u202A-\u202E\u2066-\u2069]/g,
      (sign) => `\\u${sign.charCodeAt(0).toString(16)}`,
    )
    .replaceAll("'", String.raw`'\''`);
  return `'${text}'`;
}
