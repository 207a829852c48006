// The vector stores: create, open, delete.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { post, remove } from "../client/api.js";
import { Delete, useAttempt } from "../elements/actions.js";
import { useList } from "../elements/lists.js";
import { Moment, size } from "../elements/moments.js";
import { Failure, Status } from "../elements/status.js";
import { Table } from "../elements/table.js";
import { go } from "../routes.js";

const COLUMNS = ["Name", "Status", "Files", "Size", "Created", "Actions"];
const REFRESH_MS = 4000;

export const storeName = (store) => store.name || store.id;

export function Stores() {
  const list = useList("/vector_stores", REFRESH_MS);
  const [name, setName] = useState("");
  const { attempt, isBusy, failure } = useAttempt();
  const create = (event) => {
    event.preventDefault();
    attempt(async () => go(`/stores/${(await post("/vector_stores", { name })).id}`));
  };
  const discard = (store) => attempt(async () => { await remove(`/vector_stores/${store.id}`); await list.reload(); });
  return html`<h1>Vector stores</h1>
    <form class="row" onSubmit=${create} aria-label="New vector store"><label>Name <input required value=${name} onInput=${(event) => setName(event.target.value)} /></label>
      <button class="primary" disabled=${isBusy}>Create</button></form>
    <${Failure} error=${failure} />
    <${Table} list=${list} columns=${COLUMNS} label="Vector stores" empty="There are no vector stores yet." row=${(each) => html`
      <td><a href="#/stores/${each.id}">${storeName(each)}</a></td><td><${Status} status=${each.status} /></td><td>${counts(each.file_counts)}</td>
      <td>${size(each.usage_bytes)}</td><td><${Moment} at=${each.created_at} /></td>
      <td class="actions"><${Delete} name=${storeName(each)} onDelete=${() => discard(each)} /></td>`} />`;
}

/** As in “3, 1 in progress, 1 failed”. */
export const counts = ({ total, ...states }) =>
  [total, ...["in_progress", "failed", "cancelled"].filter((name) => states[name]).map((name) => `${states[name]} ${name.replace("_", " ")}`)].join(", ");
