// The threads: open, delete.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { remove } from "../client/api.js";
import { titleOf } from "../conversation/title.js";
import { Delete, useAttempt } from "../elements/actions.js";
import { useList } from "../elements/lists.js";
import { Moment } from "../elements/moments.js";
import { Failure } from "../elements/status.js";
import { Table } from "../elements/table.js";

export function Threads() {
  const list = useList("/threads");
  const { attempt, failure } = useAttempt();
  const drop = (thread) => attempt(async () => { await remove(`/threads/${thread.id}`); await list.reload(); });
  return html`<h1>Threads</h1><${Failure} error=${failure} />
    <${Table} list=${list} columns=${["Title", "Created", "Id", "Actions"]} label="Threads" empty="There are no threads yet." row=${(each) => html`
      <td><${ThreadLink} thread=${each} /></td><td><${Moment} at=${each.created_at} /></td><td><code>${each.id}</code></td>
      <td class="actions"><${Delete} name=${each.metadata.title ?? each.id} onDelete=${() => drop(each)} /></td>`} />`;
}

export function ThreadLink({ thread, isCurrent }) {
  const [title, setTitle] = useState(thread.metadata.title ?? thread.id);
  useEffect(() => {
    let isGone = false;
    titleOf(thread).then((found) => isGone || setTitle(found), () => {});
    return () => { isGone = true; };
  }, [thread.id]);
  return html`<a href="#/chat/${thread.id}" aria-current=${isCurrent ? "page" : undefined}>${title}</a>`;
}
