import { html } from "htm/preact";

const NAMES = ["starter_1", "starter_2", "starter_3", "starter_4"];

/** The prompts with which the assistant proposes to begin, from its metadata. */
export function Starters({ assistant, onStart }) {
  const prompts = NAMES.map((name) => assistant?.metadata[name]).filter(Boolean);
  return html`<div class="starters">
    ${assistant?.description && html`<p>${assistant.description}</p>`}
    ${prompts.map((prompt) => html`<button type="button" key=${prompt} onClick=${() => onStart(prompt)}>${prompt}</button>`)}
  </div>`;
}
