// Asks for the API key where the server wants one.
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import { apiKey, keyEvents, setApiKey } from "./client/key.js";
import { useEvent } from "./elements/use_event.js";

export function KeyDialog() {
  const dialog = useRef(null);
  const [key, setKey] = useState("");
  useEvent(keyEvents, "needed", () => dialog.current.open || dialog.current.showModal());
  const use = (event) => {
    event.preventDefault();
    dialog.current.close();
    setKey("");
    setApiKey(key.trim());
  };
  return html`<dialog ref=${dialog} aria-labelledby="key-title"><form class="fields" onSubmit=${use}>
    <h2 id="key-title">API key</h2>
    <p>${apiKey() ? "The server does not accept this key. Enter another one." : "This server asks for an API key. It is kept until this tab is closed."}</p>
    <label>API key<input type="password" autocomplete="off" required value=${key} onInput=${(event) => setKey(event.target.value)} /></label>
    <button class="primary">Use this key</button>
  </form></dialog>`;
}
