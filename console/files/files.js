// The files: upload, download, delete.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { remove } from "../client/api.js";
import { Download } from "../chat/stored_image.js";
import { Delete, useAttempt } from "../elements/actions.js";
import { ChooseFiles, Uploads, useDrop } from "../elements/drop.js";
import { useList } from "../elements/lists.js";
import { Moment, size } from "../elements/moments.js";
import { Failure, Status } from "../elements/status.js";
import { Table } from "../elements/table.js";
import { useUploads } from "../elements/use_uploads.js";

const PURPOSES = ["assistants", "vision", "user_data", "batch", "fine-tune", "evals"];
const COLUMNS = ["Name", "Purpose", "Size", "Status", "Created", "Actions"];

export function Files() {
  const list = useList("/files");
  const [purpose, setPurpose] = useState("assistants");
  const { uploads, send } = useUploads();
  const { attempt, failure } = useAttempt();
  const add = async (files) => { await send(files, purpose); await list.reload(); };
  const drop = useDrop(add);
  const discard = (file) => attempt(async () => { await remove(`/files/${file.id}`); await list.reload(); });
  return html`<section class=${drop.isOver ? "over" : ""} aria-label="Files" ...${drop.target}><h1>Files</h1>
    <div class="row"><label>Purpose <select value=${purpose} onChange=${(event) => setPurpose(event.target.value)}>
      ${PURPOSES.map((name) => html`<option key=${name}>${name}</option>`)}</select></label>
      <${ChooseFiles} label="Upload files" onFiles=${add} /><span class="quiet">or drop them here</span></div>
    <${Uploads} uploads=${uploads} /><${Failure} error=${failure} />
    <${Table} list=${list} columns=${COLUMNS} label="Files" empty="There are no files yet." row=${(each) => html`
      <td>${each.filename}</td><td>${each.purpose}</td><td>${size(each.bytes)}</td><td><${Status} status=${each.status} /></td>
      <td><${Moment} at=${each.created_at} /></td>
      <td class="actions"><${Download} fileId=${each.id} name=${each.filename} /><${Delete} name=${each.filename} onDelete=${() => discard(each)} /></td>`} />
  </section>`;
}
