// A run in a conversation: its calls and messages, the form for function results, and how it ended.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { post } from "../client/api.js";
import { useAttempt } from "../elements/actions.js";
import { Failure } from "../elements/status.js";
import { Message } from "./message.js";
import { ToolCard } from "./tool_card.js";

export function Run({ block: { run, entries }, assistant, onChange }) {
  const pending = run.status === "requires_action" ? run.required_action.submit_tool_outputs.tool_calls : [];
  const [outputs, setOutputs] = useState({});
  const { attempt, isBusy, failure } = useAttempt();
  const path = `/threads/${run.thread_id}/runs/${run.id}`;
  const submit = (event) => {
    event.preventDefault();
    const results = pending.map((call) => ({ tool_call_id: call.id, output: outputs[call.id] ?? "" }));
    attempt(() => post(`${path}/submit_tool_outputs`, { tool_outputs: results }));
  };
  const retry = () => attempt(async () => { await post(`/ops/runs/${run.id}/retry`, { by: "console" }); onChange(); });

  return html`<form class="run" onSubmit=${submit}>
    ${entries.map(({ step, calls, message }) => html`<div key=${step.id}>
      ${message && html`<${Message} message=${message} author=${assistant?.name ?? "assistant"} />`}
      ${calls.filter((call) => call?.type).map((call) => html`<${Call} key=${call.id} call=${call} step=${step} assistant=${assistant}
        isWaiting=${pending.some((each) => each.id === call.id)}
        onOutput=${(text) => setOutputs((was) => ({ ...was, [call.id]: text }))} />`)}
    </div>`)}
    ${pending.length > 0 && html`<button class="primary" disabled=${isBusy}>
      Submit ${pending.length === 1 ? "the result" : `${pending.length} results`}</button>`}
    <${Ending} run=${run} onRetry=${retry} isBusy=${isBusy} />
    <${Failure} error=${failure} />
  </form>`;
}

function Call({ call, step, assistant, isWaiting, onOutput }) {
  const header = call.type === "function" && assistant?.metadata[`header_${call.function.name}`];
  return html`<${ToolCard} call=${call} step=${step} header=${header} isWaiting=${isWaiting}>
    ${isWaiting && html`<label>Result of ${call.function.name}<textarea rows="2" onInput=${(event) => onOutput(event.target.value)} /></label>`}
  <//>`;
}

function Ending({ run, onRetry, isBusy }) {
  switch (run.status) {
    case "failed": return html`<div class="failure" role="alert">The run failed: ${run.last_error?.message}
      <button type="button" disabled=${isBusy} onClick=${onRetry}>Retry</button></div>`;
    case "incomplete": return html`<p class="failure" role="alert">The run ended early: ${run.incomplete_details?.reason.replaceAll("_", " ")}</p>`;
    case "cancelled": case "expired": return html`<p class="quiet">The run was ${run.status}.</p>`;
    default: return null;
  }
}
