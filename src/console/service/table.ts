/** Tables that scroll sideways where the screen is narrow. */
import { html, type TemplateResult } from 'lit-html';

type Shown = TemplateResult | string | number;
/** What stands in a cell; numbers stand at its end. */
export type Cell = Shown | { readonly number: Shown };

/** @param name of the table, for those who cannot see where it stands */
export function tableView(
  name: string,
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
): TemplateResult {
  const isNumber = columns.map((_, index) => rows.length > 0 && rows.every((row) => isNumeric(row[index])));
  return html`<div class="scrolls figures" tabindex="0" role="region" aria-label=${name}>
    <table>
      <thead>
        <tr>
          ${columns.map((column, index) => html`<th scope="col" class=${isNumber[index] === true ? 'number' : ''}>${column}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((cell) => (isNumeric(cell) ? html`<td class="number">${cell.number}</td>` : html`<td>${cell}</td>`))}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function isNumeric(cell: Cell | undefined): cell is { readonly number: Shown } {
  return typeof cell === 'object' && 'number' in cell;
}
