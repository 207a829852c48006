import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { post } from "../client/api.js";
import { Passage } from "../chat/call_bodies.js";
import { useAttempt } from "../elements/actions.js";
import { Failure } from "../elements/status.js";

/** Asks a vector store, as the model does. */
export function Search({ storeId }) {
  const [query, setQuery] = useState("");
  const [found, setFound] = useState(null);
  const { attempt, isBusy, failure } = useAttempt();
  const search = (event) => {
    event.preventDefault();
    attempt(async () => setFound((await post(`/vector_stores/${storeId}/search`, { query })).data));
  };
  return html`<h2>Search</h2><form class="row" role="search" onSubmit=${search}>
      <label>Query <input type="search" required value=${query} onInput=${(event) => setQuery(event.target.value)} /></label>
      <button class="primary" disabled=${isBusy}>Search</button></form>
    <${Failure} error=${failure} />
    <div role="status">${found && !found.length && "Nothing was found."}</div>
    ${found?.length > 0 && html`<ol class="results" aria-label="Results">${found.map((each) => html`<li><${Passage} title=${each.filename} score=${each.score}
      text=${each.content.map((part) => part.text).join("\n")} /></li>`)}</ol>`}`;
}
