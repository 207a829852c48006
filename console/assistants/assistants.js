// The assistants: list, edit, delete.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { get, remove } from "../client/api.js";
import { nameOf, remember } from "../chat/choose_assistant.js";
import { Delete, useAttempt } from "../elements/actions.js";
import { useList } from "../elements/lists.js";
import { Moment } from "../elements/moments.js";
import { Failure, Loading } from "../elements/status.js";
import { Table } from "../elements/table.js";
import { go } from "../routes.js";
import { AssistantForm } from "./form.js";

const COLUMNS = ["Name", "Model", "Tools", "Created", "Actions"];

export function Assistants() {
  const list = useList("/assistants");
  const { attempt, failure } = useAttempt();
  const drop = (assistant) => attempt(async () => { await remove(`/assistants/${assistant.id}`); await list.reload(); });
  return html`<h1>Assistants</h1><p><a class="button" href="#/assistants/new">New assistant</a></p><${Failure} error=${failure} />
    <${Table} list=${list} columns=${COLUMNS} label="Assistants" empty="There are no assistants yet." row=${(each) => html`
      <td><a href="#/assistants/${each.id}">${nameOf(each)}</a></td><td>${each.model}</td>
      <td>${each.tools.map((tool) => tool.function?.name ?? tool.type).join(", ")}</td><td><${Moment} at=${each.created_at} /></td>
      <td class="actions"><button type="button" aria-label="Chat with ${nameOf(each)}" onClick=${() => chatWith(each)}>Chat</button>
        <${Delete} name=${nameOf(each)} onDelete=${() => drop(each)} /></td>`} />`;
}

function chatWith(assistant) {
  remember(assistant.id);
  go("/");
}

export function Assistant({ id }) {
  const [assistant, setAssistant] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => { if (id !== "new") get(`/assistants/${id}`).then(setAssistant, setFailure); }, [id]);
  const saved = (made) => { if (id === "new") chatWith(made); else go("/assistants"); };
  if (failure) return html`<h1>Assistant</h1><${Failure} error=${failure} />`;
  if (id !== "new" && !assistant) return html`<h1>Assistant</h1><${Loading} />`;
  return html`<h1>${assistant ? nameOf(assistant) : "New assistant"}</h1><${AssistantForm} assistant=${assistant} onSaved=${saved} />`;
}
