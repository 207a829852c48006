// One vector store: its files and their states, uploads into it, and a search.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { get, post, remove } from "../client/api.js";
import { Delete, useAttempt } from "../elements/actions.js";
import { ChooseFiles, Uploads, useDrop } from "../elements/drop.js";
import { FileName } from "../elements/file_name.js";
import { useList } from "../elements/lists.js";
import { Moment, size } from "../elements/moments.js";
import { Failure, Status } from "../elements/status.js";
import { Table } from "../elements/table.js";
import { useUploads } from "../elements/use_uploads.js";
import { Search } from "./search.js";
import { storeName } from "./stores.js";

const COLUMNS = ["File", "Status", "Size", "Added", "Actions"];
const REFRESH_MS = 1500;

export function Store({ id }) {
  const [store, setStore] = useState(null);
  const list = useList(`/vector_stores/${id}/files`, REFRESH_MS);
  const { uploads, send } = useUploads();
  const { attempt, failure, setFailure } = useAttempt();
  useEffect(() => { get(`/vector_stores/${id}`).then(setStore, setFailure); }, [id]);
  const changing = (action) => attempt(async () => { await action(); await list.reload(); });
  const add = (files) => changing(async () => {
    const file_ids = (await send(files, "assistants")).map((file) => file.id);
    if (file_ids.length) await post(`/vector_stores/${id}/file_batches`, { file_ids });
  });
  const drop = useDrop(add);

  return html`<section class=${drop.isOver ? "over" : ""} aria-label="Vector store" ...${drop.target}>
    <h1>${store ? storeName(store) : "Vector store"}</h1>
    <div class="row"><${ChooseFiles} label="Add files" onFiles=${add} /><span class="quiet">or drop them here</span></div>
    <${Uploads} uploads=${uploads} /><${Failure} error=${failure} />
    <${Table} list=${list} columns=${COLUMNS} label="Files of the store" empty="The store has no files yet." row=${(each) => html`
      <td><${FileName} id=${each.id} /></td>
      <td><${Status} status=${each.status} />${each.last_error && html` <span class="failure">${each.last_error.message}</span>`}</td>
      <td>${size(each.usage_bytes)}</td><td><${Moment} at=${each.created_at} /></td>
      <td class="actions">${each.status === "failed" && html`<button type="button" aria-label="Retry ${each.id}"
          onClick=${() => changing(() => post(`/ops/files/${id}/${each.id}/retry`, { by: "console" }))}>Retry</button>`}
        <${Delete} name=${each.id} onDelete=${() => changing(() => remove(`/vector_stores/${id}/files/${each.id}`))} /></td>`} />
    <${Search} storeId=${id} />
  </section>`;
}
