// The files that the tools of an assistant read.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { get } from "../client/api.js";

export function FileFields({ draft, set }) {
  const searches = draft.tools.includes("file_search"), runsCode = draft.tools.includes("code_interpreter");
  return html`${searches && html`<${SearchFields} draft=${draft} set=${set} />`}
    ${runsCode && html`<${CodeFields} draft=${draft} set=${set} />`}`;
}

function SearchFields({ draft, set }) {
  const [stores, setStores] = useState([]);
  useEffect(() => { get("/vector_stores?limit=100").then((page) => setStores(page.data), () => {}); }, []);
  const isListed = !draft.storeId || stores.some((store) => store.id === draft.storeId);
  return html`<label>Vector store to search<select value=${draft.storeId} onChange=${(event) => set({ storeId: event.target.value })}>
      <option value="">${draft.searchFiles.length ? "A new one, with the files below" : "None"}</option>
      ${!isListed && html`<option value=${draft.storeId}>${draft.storeId}</option>`}
      ${stores.map((store) => html`<option key=${store.id} value=${store.id}>${store.name || store.id}</option>`)}
    </select></label>
    <label>Files to search<input type="file" multiple onChange=${(event) => set({ searchFiles: [...event.target.files] })} /></label>`;
}

function CodeFields({ draft, set }) {
  const drop = (id) => set({ codeFileIds: draft.codeFileIds.filter((each) => each !== id) });
  return html`${draft.codeFileIds.length > 0 && html`<ul class="chips" aria-label="Files for code">${draft.codeFileIds.map((id) => html`<li key=${id}>${id}
      <button type="button" aria-label="Remove ${id}" onClick=${() => drop(id)}>×</button></li>`)}</ul>`}
    <label>Files for code<input type="file" multiple onChange=${(event) => set({ codeFiles: [...event.target.files] })} /></label>`;
}
