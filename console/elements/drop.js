// Files that are chosen, or dragged onto a part of the page.
import { html } from "htm/preact";
import { useState } from "preact/hooks";

/** Properties for the element that files may be dragged onto. */
export function useDrop(onFiles) {
  const [isOver, setOver] = useState(false);
  return {
    isOver,
    target: {
      onDragOver: (event) => { event.preventDefault(); setOver(true); },
      onDragLeave: (event) => { if (!event.currentTarget.contains(event.relatedTarget)) setOver(false); },
      onDrop: (event) => { event.preventDefault(); setOver(false); onFiles([...event.dataTransfer.files]); },
    },
  };
}

export const ChooseFiles = ({ label, onFiles, accept }) => html`<label class="choose button">${label}
  <input type="file" multiple accept=${accept} onChange=${(event) => { onFiles([...event.target.files]); event.target.value = ""; }} /></label>`;

/** The uploads under way: `[{name, part, error}]`. */
export const Uploads = ({ uploads }) => uploads.length > 0 && html`<ul class="uploads" aria-label="Uploads">
  ${uploads.map((each) => html`<li key=${each.key}>${each.name}
    ${each.error ? html`<span class="failure" role="alert">${each.error}</span>`
      : html`<progress aria-label="Upload of ${each.name}" max="1" value=${each.part} />`}</li>`)}</ul>`;
