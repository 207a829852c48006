// Where a message is written, with its attachments.
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import { ChooseFiles, Uploads } from "../elements/drop.js";
import { Failure } from "../elements/status.js";

/** `attachments` is that of `useAttachments`; `onSend` gets the text, and says whether it was sent. */
export function Composer({ attachments, isBusy, failure, onSend, children }) {
  const field = useRef(null);
  const [text, setText] = useState("");
  async function send(event) {
    event?.preventDefault();
    if (isBusy || attachments.isBusy || !(text.trim() || attachments.files.length)) return;
    if (await onSend(text)) setText("");
    field.current?.focus();
  }
  // Shift makes a new line; an input method ends its word by the same key.
  const keys = (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && send(event);
  return html`<form class="composer" onSubmit=${send} aria-label="New message">
    <${Failure} error=${failure ?? attachments.failure} />
    <${Uploads} uploads=${attachments.uploads} />
    ${attachments.files.length > 0 && html`<ul class="chips" aria-label="Attachments">
      ${attachments.files.map((file) => html`<li key=${file.id}>${file.filename}
      <button type="button" aria-label="Remove ${file.filename}" onClick=${() => attachments.drop(file)}>×</button></li>`)}</ul>`}
    <div class="row">
      <textarea ref=${field} rows="2" aria-label="Message" placeholder="Write a message" value=${text}
        onInput=${(event) => setText(event.target.value)} onKeyDown=${keys} />
      <div class="buttons"><${ChooseFiles} label="Attach" onFiles=${attachments.add} />
        ${children}<button class="primary" disabled=${isBusy || attachments.isBusy}>Send</button></div>
    </div>
  </form>`;
}
