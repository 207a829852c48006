// One run for operators.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { get } from "../client/api.js";
import { isActive } from "../conversation/use_conversation.js";
import { Moment } from "../elements/moments.js";
import { Failure, Loading, Status } from "../elements/status.js";
import { mayCancel, mayRetry, useRunActions } from "./run_actions.js";
import { Timeline } from "./timeline.js";

const REFRESH_MS = 1500;

export function RunView({ id }) {
  const [run, setRun] = useState(null);
  const [failure, setFailure] = useState(null);
  const load = () => get(`/ops/runs/${id}`).then(setRun, setFailure);
  const actions = useRunActions(load);
  useEffect(() => { load(); }, [id]);
  useEffect(() => {
    if (!isActive(run)) return undefined;
    const timer = setTimeout(load, REFRESH_MS);
    return () => clearTimeout(timer);
  }, [run]);
  if (failure && !run) return html`<h1>Run</h1><${Failure} error=${failure} />`;
  if (!run) return html`<h1>Run</h1><${Loading} />`;
  return html`<h1>Run <code>${run.id}</code></h1>
    <div class="row"><span role="status"><${Status} status=${run.status} /></span>
      ${mayRetry(run) && html`<button type="button" class="primary" disabled=${actions.isBusy}
        onClick=${() => actions.retry([run])}>Retry</button>`}
      ${mayCancel(run) && html`<button type="button" disabled=${actions.isBusy} onClick=${() => actions.cancel([run])}>Cancel</button>`}
      <a href="#/chat/${run.thread_id}">Open the thread</a><${TemporalLink} run=${run} /></div>
    <${Failure} error=${actions.failure} />
    ${run.last_error && html`<p class="failure" role="alert">${run.last_error.code}: ${run.last_error.message}</p>`}
    <dl class="facts"><${Fact} name="Model">${run.model}<//><${Fact} name="Created"><${Moment} at=${run.created_at} /><//>
      <${Fact} name="Ended"><${Moment} at=${run.ended_at} /><//>
      <${Fact} name="Tokens">${run.usage ? `${run.usage.prompt_tokens} in, ${run.usage.completion_tokens} out` : ""}<//>
      <${Fact} name="Workflow">${run.workflow.status.replaceAll("_", " ")}<//><${Fact} name="Project">${run.project}<//></dl>
    <${Timeline} run=${run} />`;
}

const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

export const TemporalLink = ({ run }) => run.temporal_url && html`<a href=${run.temporal_url} target="_blank"
  rel="noopener noreferrer" aria-label="${run.id} in the Temporal UI">Temporal</a>`;
