import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { apiKey, setApiKey } from "./client/key.js";
import { useList } from "./elements/lists.js";
import { ThreadLink } from "./threads/threads.js";

const VIEWS = { threads: "Threads", assistants: "Assistants", files: "Files", stores: "Vector stores", runs: "Runs" };
const RECENT = 12;

export const Navigation = ({ place, id }) => html`<nav aria-label="Console">
  <p class="brand">Holdfast</p>
  <a class="button primary" href="#/">New chat</a>
  <ul>${Object.entries(VIEWS).map(([name, label]) => html`<li key=${name}>
    <a href="#/${name}" aria-current=${name === place ? "page" : undefined}>${label}</a></li>`)}</ul>
  <${Recent} current=${place === "chat" ? id : undefined} />
  ${apiKey() && html`<button type="button" onClick=${() => setApiKey(null)}>Forget the API key</button>`}
</nav>`;

function Recent({ current }) {
  const list = useList("/threads");
  useEffect(() => { if (list.items) list.reload(); }, [current]);
  if (!list.items?.length) return null;
  return html`<div class="recent"><p class="label" id="recent">Recent threads</p>
    <ul aria-labelledby="recent">${list.items.slice(0, RECENT).map((each) => html`<li key=${each.id}>
      <${ThreadLink} thread=${each} isCurrent=${each.id === current} /></li>`)}</ul></div>`;
}
