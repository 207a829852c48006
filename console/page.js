// The frame of every view: navigation, the API key, and whether the server can be reached.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Assistant, Assistants } from "./assistants/assistants.js";
import { Chat } from "./chat/chat.js";
import { connectionEvents, isLost } from "./client/connection.js";
import { keyEvents } from "./client/key.js";
import { useEvent } from "./elements/use_event.js";
import { Files } from "./files/files.js";
import { Store } from "./files/store.js";
import { Stores } from "./files/stores.js";
import { KeyDialog } from "./key_dialog.js";
import { Navigation } from "./navigation.js";
import { go, useRoute } from "./routes.js";
import { RunView } from "./runs/run_view.js";
import { Runs } from "./runs/runs.js";
import { Threads } from "./threads/threads.js";

export function Page() {
  const [place, id] = useRoute();
  const main = useRef(null);
  const [keys, setKeys] = useState(0);
  // With another key, everything is another project's.
  useEvent(keyEvents, "changed", () => setKeys((was) => was + 1));
  useFocus(main, [place, id]);
  useEffect(refuseDroppedFiles, []);
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); main.current.focus(); }}>Skip to the content</a>
    <${Navigation} key=${`navigation ${keys}`} place=${place} id=${id} />
    <main id="main" tabindex="-1" ref=${main}><${Connection} />
      <${View} key=${`${isChat(place) ? "chat" : `${place} ${id}`} ${keys}`} place=${place} id=${id} /></main>
    <${KeyDialog} />`;
}

// A new chat and the thread that it becomes are one view: what is being written stays.
const isChat = (place) => place === undefined || place === "chat";

function View({ place, id }) {
  switch (place) {
    case "threads": return html`<${Threads} />`;
    case "assistants": return id ? html`<${Assistant} id=${id} />` : html`<${Assistants} />`;
    case "files": return html`<${Files} />`;
    case "stores": return id ? html`<${Store} id=${id} />` : html`<${Stores} />`;
    case "runs": return id ? html`<${RunView} id=${id} />` : html`<${Runs} />`;
    default: return html`<${Chat} threadId=${place === "chat" ? id : undefined} onThread=${(made) => go(`/chat/${made}`)} />`;
  }
}

function Connection() {
  const [lost, setLost] = useState(isLost());
  useEvent(connectionEvents, "changed", () => setLost(isLost()));
  return html`<div role="status">${lost && html`<p class="lost">The connection is lost. Runs go on; reconnecting…</p>`}</div>`;
}

/** Readers of the screen begin at the content when the view changes, but not when the page loads. */
function useFocus(element, view) {
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${element.current.querySelector("h1")?.textContent ?? "Chat"} · Holdfast`;
    if (!isFirst.current && !element.current.contains(document.activeElement)) element.current.focus();
    isFirst.current = false;
  }, view);
}

/** A file that is dropped beside its target would replace the page. */
function refuseDroppedFiles() {
  const refuse = (event) => event.preventDefault();
  for (const name of ["dragover", "drop"]) addEventListener(name, refuse);
  return () => { for (const name of ["dragover", "drop"]) removeEventListener(name, refuse); };
}
