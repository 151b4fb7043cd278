/** How a list is drawn: search, what is chosen, and a table of those rows that are to be seen. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { repeat } from 'lit-html/directives/repeat.js';
import { problemView } from '../loaded.ts';
import { say } from '../say.ts';
import { count, empty } from '../views.ts';
import type { ListColumn, Listed } from './kind.ts';
import type { ObjectList } from './list.ts';

export function listView<T extends Listed>(list: ObjectList<T>): TemplateResult {
  const { kind, items, problem, isLoading, hasMore } = list;
  const isFiltered = Object.keys(list.filter).length > 0;
  const trouble = problem === null ? nothing : problemView(problem, () => void list.reload());
  if (items.length === 0 && !isFiltered) {
    if (problem !== null) return html`${trouble}`;
    return isLoading || hasMore
      ? html`<p class="quiet" aria-busy="true">${say('Loading …', '加载中……')}</p>`
      : kind.emptyView();
  }
  return html`${toolbar(list)}${trouble}${tableView(list)}${footer(list)}`;
}

function toolbar<T extends Listed>(list: ObjectList<T>): TemplateResult {
  const search = (event: Event): void => {
    if (event.target instanceof HTMLInputElement) list.words = event.target.value;
    list.app.redraw();
  };
  const sort = ({ target }: Event): void =>
    void list.sortBy(target instanceof HTMLSelectElement && target.value === 'asc' ? 'asc' : 'desc');
  const send = (event: Event): void => {
    event.preventDefault();
    const text = list.words.trim();
    if (list.kind.isId?.(text) === true && list.kind.placeOf) list.app.go(list.kind.placeOf(text));
  };
  return html`<div class="filters" role="search">
      <form @submit=${send}>
        <label
          >${say('Search', '搜索')}<input
            type="search"
            .value=${list.words}
            @input=${search}
            autocomplete="off"
        /></label>
      </form>
      ${list.kind.filters?.() ?? nothing}
      <label
        >${say('Order', '排序')}<select @change=${sort}>
          <option value="desc" ?selected=${list.order === 'desc'}>
            ${say('Newest first', '最新的在前')}
          </option>
          <option value="asc" ?selected=${list.order === 'asc'}>${say('Oldest first', '最早的在前')}</option>
        </select></label
      >
      <button type="button" @click=${() => void list.reload()} ?disabled=${list.isLoading}>
        ${say('Reload', '刷新')}
      </button>
      ${chosenView(list)}
    </div>
    <p class="found quiet" role="status">${foundWords(list)}</p>`;
}

function chosenView<T extends Listed>(list: ObjectList<T>): TemplateResult | typeof nothing {
  const { chosen, deleting, kind } = list;
  if (deleting !== null) {
    const { done, of } = deleting;
    return html`<progress max=${of} value=${done} aria-label=${say('Deleting', '正在删除')}></progress>`;
  }
  if (chosen.size === 0) return nothing;
  return html`<button type="button" class="danger" @click=${() => void list.deleteChosen()}>
      ${kind.deleteWords()} (${count(chosen.size)})
    </button>
    <button type="button" @click=${() => list.chooseAll(false)}>${say('Choose none', '取消选择')}</button>`;
}

/** Whether some of what the search looks at has yet to come; it is asked for. */
function isSearching<T extends Listed>({ kind, items, words }: ObjectList<T>): boolean {
  return kind.search !== undefined && kind.search.prepare(words.trim() === '' ? [] : items) > 0;
}

function foundWords<T extends Listed>(list: ObjectList<T>): string {
  const { items, shown, hasMore, words, kind } = list;
  const all = count(items.length);
  if (isSearching(list)) return say('Searching …', '搜索中……');
  if (words.trim() === '')
    return hasMore
      ? say(`${all} loaded; there are more.`, `已加载 ${all} 项，还有更多。`)
      : say(`${all} in all.`, `共 ${all} 项。`);
  const found = count(shown.length);
  const result = hasMore
    ? say(
        `${found} found among the ${all} that are loaded. There are more.`,
        `在已加载的 ${all} 项中找到 ${found} 项，还有未加载的。`,
      )
    : say(`${found} of ${all} found.`, `共 ${all} 项，找到 ${found} 项。`);
  return kind.search === undefined
    ? result
    : say(`${result} ${kind.search.words()}`, result + kind.search.words());
}

function tableView<T extends Listed>(list: ObjectList<T>): TemplateResult {
  const { kind, shown, rows } = list;
  if (shown.length === 0)
    return list.isLoading || isSearching(list)
      ? html`<p class="quiet" aria-busy="true">${say('Loading …', '加载中……')}</p>`
      : empty(say('Nothing of what is loaded fits this.', '已加载的内容中没有匹配项。'));
  const columns = kind.columns();
  const { from, to, above, below } = rows.drawn(shown.length);
  const areAll = shown.every(({ id }) => list.chosen.has(id));
  const chooseAll = ({ target }: Event): void =>
    list.chooseAll(target instanceof HTMLInputElement && target.checked);
  return html`<div
    class="objects"
    tabindex="0"
    role="region"
    aria-label=${kind.title()}
    @scroll=${rows.onScroll}
  >
    <table aria-rowcount=${list.hasMore ? -1 : shown.length + 1}>
      <thead>
        <tr aria-rowindex="1">
          <th class="choice" scope="col">
            <input
              type="checkbox"
              aria-label=${say('Choose all that are shown', '全选')}
              .checked=${areAll}
              @change=${chooseAll}
            />
          </th>
          ${columns.map((column) => html`<th scope="col" class=${classOf(column)}>${column.name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${space(above)}
        ${repeat(
          shown.slice(from, to),
          ({ id }) => id,
          (item, index) => rowView(list, columns, item, from + index),
        )}
        ${space(below)}
      </tbody>
    </table>
  </div>`;
}

function rowView<T extends Listed>(
  list: ObjectList<T>,
  columns: readonly ListColumn<T>[],
  item: T,
  index: number,
): TemplateResult {
  const { kind, chosen } = list;
  const name = kind.nameOf(item);
  const choose = ({ target }: Event): void =>
    list.choose(item.id, target instanceof HTMLInputElement && target.checked);
  return html`<tr aria-rowindex=${index + 2}>
    <td class="choice">
      <input
        type="checkbox"
        aria-label=${say(`Choose ${name}`, `选择 ${name}`)}
        .checked=${chosen.has(item.id)}
        @change=${choose}
      />
    </td>
    ${columns.map((column) => html`<td class=${classOf(column)}>${column.cell(item)}</td>`)}
  </tr>`;
}

/** Stands for rows that are not drawn. */
function space(height: number): TemplateResult | typeof nothing {
  if (height === 0) return nothing;
  return html`<tr class="space" aria-hidden="true" .style=${`height: ${height}px`}></tr>`;
}

function classOf<T>({ isWide = false, isNumber = false }: ListColumn<T>): string {
  return `${isWide ? 'wide' : ''} ${isNumber ? 'number' : ''}`;
}

function footer<T extends Listed>(list: ObjectList<T>): TemplateResult | typeof nothing {
  if (!list.hasMore) return nothing;
  return html`<p class="buttons">
    <button @click=${() => void list.more()} ?disabled=${list.isLoading}>
      ${say('Load more', '加载更多')}
    </button>
    <button @click=${() => void list.loadAll()} ?disabled=${list.isLoading}>
      ${say('Load all', '全部加载')}
    </button>
    ${list.isLoading ? html`<span class="quiet" aria-busy="true">${say('Loading …', '加载中……')}</span>` : nothing}
  </p>`;
}
