import { html } from "htm/preact";
import { Failure, Loading } from "./status.js";

/** A list of `useList` as a table; `row` makes the cells of an item. */
export function Table({ list, columns, label, empty, row }) {
  if (list.failure) return html`<${Failure} error=${list.failure} />`;
  if (!list.items) return html`<${Loading} />`;
  if (!list.items.length) return html`<p class="quiet">${empty}</p>`;
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${label}><table aria-label=${label}>
      <thead><tr>${columns.map((name) => html`<th scope="col" key=${name}>${name}</th>`)}</tr></thead>
      <tbody>${list.items.map((item) => html`<tr key=${item.id}>${row(item)}</tr>`)}</tbody>
    </table></div>
    ${list.hasMore && html`<button type="button" onClick=${list.more}>Show more</button>`}`;
}
