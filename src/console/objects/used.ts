/** Where a file is used. The API answers this for one store at a time, so the newest stores are asked. */
import { html, type TemplateResult } from 'lit-html';
import type { App } from '../app.ts';
import { Loaded } from '../loaded.ts';
import { say } from '../say.ts';
import type { Assistant, StoreFile, VectorStore } from '../wire.ts';
import { link } from '../views.ts';
import { isMissing } from '../api.ts';

const MOST_STORES = 100;
const MOST_ASSISTANTS = 500;
/** Requests at a time. */
const AT_A_TIME = 8;

interface Uses {
  readonly stores: readonly {
    readonly id: string;
    readonly name: string;
    readonly status: StoreFile['status'];
  }[];
  readonly assistants: readonly Assistant[];
}

export class Used {
  readonly #app: App;
  readonly #id: string;
  readonly #uses: Loaded<Uses>;

  constructor(app: App, fileId: string) {
    this.#app = app;
    this.#id = fileId;
    this.#uses = new Loaded(app, async (signal) => this.#load(signal));
  }

  view(): TemplateResult {
    return this.#uses.view(({ stores, assistants }) => {
      if (stores.length + assistants.length === 0)
        return html`<p class="quiet">
          ${say('In no vector store and no assistant.', '没有向量库或助手使用它。')}
        </p>`;
      return html`<ul>
        ${stores.map(
          ({ id, name, status }) =>
            html`<li>
              ${say('Vector store', '向量库')} ${link(`/stores/${id}`, name || id)} (${indexWords(status)})
            </li>`,
        )}
        ${assistants.map(
          ({ id, name }) =>
            html`<li>${say('Assistant', '助手')} ${link(`/assistants/${id}`, name ?? id)}</li>`,
        )}
      </ul>`;
    });
  }

  close(): void {
    this.#uses.close();
  }

  async #load(signal: AbortSignal): Promise<Uses> {
    const { api } = this.#app;
    const [stores, assistants] = await Promise.all([
      api.all<VectorStore>('/vector_stores', {}, MOST_STORES),
      api.all<Assistant>('/assistants', {}, MOST_ASSISTANTS),
    ]);
    const found: Uses['stores'][number][] = [];
    const waiting = [...stores];
    const work = async (): Promise<void> => {
      for (let store = waiting.shift(); store !== undefined; store = waiting.shift()) {
        const file = await this.#inStore(store.id, signal);
        if (file !== null) found.push({ id: store.id, name: store.name ?? '', status: file.status });
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
    const ofCode = assistants.filter(({ tool_resources: { code_interpreter: code } }) =>
      code?.file_ids.includes(this.#id),
    );
    return { stores: found, assistants: ofCode };
  }

  async #inStore(storeId: string, signal: AbortSignal): Promise<StoreFile | null> {
    const path = `/vector_stores/${storeId}/files/${encodeURIComponent(this.#id)}`;
    try {
      return await this.#app.api.get<StoreFile>(path, {}, signal);
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }
}

export function indexWords(status: StoreFile['status']): string {
  switch (status) {
    case 'in_progress':
      return say('being indexed', '索引中');
    case 'completed':
      return say('indexed', '已索引');
    case 'failed':
      return say('failed', '失败');
    case 'cancelled':
      return say('cancelled', '已取消');
  }
}
