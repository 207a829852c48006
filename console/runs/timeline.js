// The course of a run: turns, attempts, calls, tokens, errors and retries.
import { html } from "htm/preact";
import { duration, Moment } from "../elements/moments.js";

export const Timeline = ({ run }) => html`<h2>Timeline</h2><ol class="timeline">
  ${run.turns.map((turn) => html`<li key=${turn.turn}><${Turn} turn=${turn} /></li>`)}
  ${run.retry_history.map((retry) => html`<li key=${`retry ${retry.number}`}><strong>Retry ${retry.number}</strong> by ${retry.by} <${Moment} at=${retry.at} />
    ${retry.error && html`<p class="failure">It had failed: ${retry.error.code}: ${retry.error.message}</p>`}</li>`)}
</ol>`;

function Turn({ turn }) {
  const facts = [
    turn.duration_ms !== null && duration(turn.duration_ms),
    turn.attempts !== null && plural(turn.attempts, "attempt"),
    turn.usage && `${turn.usage.total_tokens} tokens`,
    turn.is_finished ? turn.finish_reason?.replaceAll("_", " ") : "unfinished",
  ];
  return html`<strong>Turn ${turn.turn + 1}</strong> <${Moment} at=${turn.started_at} /> · ${facts.filter(Boolean).join(" · ")}
    <${Failures} failures=${turn.failures} />
    ${turn.tool_calls.length > 0 && html`<ul>${turn.tool_calls.map((call) => html`<li key=${call.id}><${Call} call=${call} /></li>`)}</ul>`}`;
}

function Call({ call }) {
  const facts = [
    call.is_answered ? "answered" : "waiting",
    call.duration_ms !== null && duration(call.duration_ms),
    call.attempts !== null && plural(call.attempts, "attempt"),
  ];
  return html`<code>${call.name}</code> · ${facts.filter(Boolean).join(" · ")}
    ${call.error && html`<p class="failure">${call.error}</p>`}<${Failures} failures=${call.failures} />`;
}

const Failures = ({ failures }) => failures.map((each) => html`<p class="failure" key=${each.attempt}>
  Attempt ${each.attempt}: ${each.message}</p>`);

const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
