/** How a vector store is. */
import { html, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import type { VectorStore } from '../wire.ts';

/** In words and colour. */
export function storeStatus({ status, file_counts: counts }: VectorStore): TemplateResult {
  if (status === 'expired') return html`<span class="status expired">${say('expired', '已过期')}</span>`;
  if (counts.in_progress > 0)
    return html`<span class="status"
      >${say(`indexing ${counts.in_progress}`, `正在索引 ${counts.in_progress}`)}</span
    >`;
  if (counts.failed > 0)
    return html`<span class="status incomplete"
      >${say(`${counts.failed} failed`, `${counts.failed} 个失败`)}</span
    >`;
  return html`<span class="status completed">${say('ready', '就绪')}</span>`;
}
