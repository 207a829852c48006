// Arguments and results of a call, by the kind of its tool. Texts stay texts: only answers are markdown.
import { html } from "htm/preact";
import { StoredImage } from "./stored_image.js";

const BODIES = { function: FunctionBody, file_search: SearchBody, code_interpreter: CodeBody, web_retrieval: WebBody };

export const CallBody = ({ call }) => html`<${BODIES[call.type] ?? OtherBody} call=${call} />`;

const Text = ({ label, text }) => html`<p class="label">${label}</p><pre tabindex="0" aria-label=${label}>${text}</pre>`;

function FunctionBody({ call: { function: called } }) {
  return html`<${Text} label="Arguments" text=${pretty(called.arguments)} />
    ${called.output != null && html`<${Text} label="Result" text=${pretty(called.output)} />`}`;
}

function SearchBody({ call: { file_search: search } }) {
  const results = search.results ?? [];
  if (!results.length) return html`<p class="quiet">No passages.</p>`;
  return html`<ol class="results">${results.map((found) => html`<li>
    <${Passage} title=${found.file_name} score=${found.score} text=${textOf(found.content)} /></li>`)}</ol>`;
}

function CodeBody({ call: { code_interpreter: run } }) {
  return html`<${Text} label="Code" text=${run.input} />
    ${(run.outputs ?? []).map((output) => (output.type === "image"
      ? html`<${StoredImage} fileId=${output.image.file_id} />`
      : html`<${Text} label="Output" text=${output.logs ?? ""} />`))}`;
}

function WebBody({ call }) {
  const pages = call.retrieval ?? [];
  if (!pages.length) return html`<p class="quiet">No passages.</p>`;
  return html`<ol class="results">${pages.map((page) => html`<li>
    <${Passage} title=${page.title || page.url} link=${page.url} score=${page.score} text=${page.content} /></li>`)}</ol>`;
}

const OtherBody = ({ call }) => html`<${Text} label="Call" text=${JSON.stringify(call, null, 2)} />`;

/** A passage of a file or page, which opens on request. */
export function Passage({ title, link, score, text }) {
  return html`<details><summary>${title}${score != null && html` <span class="quiet">score ${score.toFixed(2)}</span>`}</summary>
    ${text && html`<blockquote>${text}</blockquote>`}${link && html`<${Link} href=${link} />`}</details>`;
}

/** A link out, which never is a script. */
export const Link = ({ href, children }) => (/^https?:\/\//i.test(href)
  ? html`<a href=${href} target="_blank" rel="noopener noreferrer">${children ?? href}</a>`
  : html`<span>${children ?? href}</span>`);

const textOf = (content) => (content ?? []).map((part) => part.text ?? "").join("\n");

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
