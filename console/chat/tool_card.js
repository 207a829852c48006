// One tool call: what was asked, what came back, and when.
import { html } from "htm/preact";
import { Markdown } from "../elements/markdown.js";
import { duration, Moment } from "../elements/moments.js";
import { CallBody } from "./call_bodies.js";

const TITLES = {
  file_search: () => "Searched the files",
  code_interpreter: () => "Ran code",
  web_retrieval: (call) => `Searched web pages for “${call.query ?? ""}”`,
};

/** `header` is the assistant's own title for the function; `children` is the form that answers it. */
export function ToolCard({ call, step, header, isWaiting, children }) {
  const isDone = call.type === "function" ? call.function.output != null : step.status === "completed";
  const state = isWaiting ? "waiting" : isDone ? "done" : step.status === "in_progress" ? "running" : step.status;
  return html`<details class="call" open=${isWaiting}>
    <summary><span class="mark ${state}">${state}</span> <${Title} call=${call} header=${header} /></summary>
    <p class="quiet"><${Moment} at=${step.created_at} />${step.completed_at != null && ` · took ${took(step)}`}</p>
    <${CallBody} call=${call} />
    ${children}
  </details>`;
}

function Title({ call, header }) {
  if (call.type !== "function") return (TITLES[call.type] ?? ((other) => other.type))(call);
  return header ? html`<${Markdown} text=${header} inline=${true} />` : html`Called <code>${call.function.name}</code>`;
}

// The API has whole seconds.
const took = (step) => (step.completed_at === step.created_at ? "less than 1 s" : duration((step.completed_at - step.created_at) * 1000));
