// One message: its parts, and the sources it cites.
import { html } from "htm/preact";
import { useRef } from "preact/hooks";
import { footnoted } from "../conversation/citations.js";
import { FileName } from "../elements/file_name.js";
import { Markdown } from "../elements/markdown.js";
import { Link } from "./call_bodies.js";
import { Download, StoredImage } from "./stored_image.js";

export const Message = ({ message, author }) => html`<article class="message ${message.role}" aria-busy=${message.status === "in_progress"}>
    <h2>${author ?? message.role}</h2>
    ${message.content.map((part, index) => part && html`<${Part} key=${index} part=${part} />`)}
    ${message.attachments?.map((each) => html`<p class="quiet" key=${each.file_id}>Attached: <${FileName} id=${each.file_id} /></p>`)}
    ${message.status === "incomplete" && html`<p class="quiet">Incomplete: ${message.incomplete_details?.reason.replaceAll("_", " ")}</p>`}
  </article>`;

function Part({ part }) {
  switch (part.type) {
    case "text": return html`<${Text} text=${part.text} />`;
    case "refusal": return html`<p class="failure">${part.refusal}</p>`;
    case "image_file": return html`<${StoredImage} fileId=${part.image_file.file_id} />`;
    // Not loaded: its server would learn who reads this.
    case "image_url": return html`<p>Image: <${Link} href=${part.image_url.url} /></p>`;
    default: return null;
  }
}

function Text({ text }) {
  const list = useRef(null);
  const cited = footnoted(text);
  const open = (number) => {
    const note = list.current?.children[number - 1]?.querySelector("details");
    if (!note) return;
    note.open = true;
    note.querySelector("summary").focus();
  };
  return html`<${Markdown} text=${cited.text} onNote=${open} />
    ${cited.notes.length > 0 && html`<ol class="notes" ref=${list} aria-label="Sources">
      ${cited.notes.map((note) => html`<li key=${note.title}><${Note} note=${note} /></li>`)}</ol>`}`;
}

function Note({ note }) {
  if (note.fileId) return html`${note.title} <${Download} fileId=${note.fileId} name=${note.title} />`;
  return html`<details><summary>${note.title}</summary>
    ${note.quote && html`<blockquote>${note.quote}</blockquote>`}${note.link && html`<${Link} href=${note.link} />`}</details>`;
}
