// The runs: filtered, retried and cancelled, also many at once.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { useList } from "../elements/lists.js";
import { Moment } from "../elements/moments.js";
import { Failure, Status } from "../elements/status.js";
import { Table } from "../elements/table.js";
import { TemporalLink } from "./run_view.js";
import { Filters, NO_FILTER, queryOf } from "./filters.js";
import { mayCancel, mayRetry, useRunActions } from "./run_actions.js";

const COLUMNS = ["Select", "Run", "Status", "Model", "Created", "Turns", "Tokens", "Temporal"];
const REFRESH_MS = 3000;

export function Runs() {
  const [filter, setFilter] = useState(NO_FILTER);
  const [chosen, setChosen] = useState(new Set());
  const list = useList(`/ops/runs${queryOf(filter)}`, REFRESH_MS);
  const actions = useRunActions(async () => { setChosen(new Set()); await list.reload(); });
  const runs = (list.items ?? []).filter((run) => chosen.has(run.id));
  const choose = (run, isChosen) => setChosen((was) => new Set(isChosen ? [...was, run.id] : [...was].filter((id) => id !== run.id)));
  const chooseAll = (isChosen) => setChosen(new Set(isChosen ? list.items.map((run) => run.id) : []));

  return html`<h1>Runs</h1><${Filters} filter=${filter} onChange=${(next) => { setFilter(next); setChosen(new Set()); }} />
    <div class="row" role="group" aria-label="Selected runs">
      <label class="check"><input type="checkbox" disabled=${!list.items?.length} checked=${runs.length > 0 && runs.length === list.items.length}
        onChange=${(event) => chooseAll(event.target.checked)} />All shown</label>
      <${Many} verb="Retry" runs=${runs.filter(mayRetry)} onAct=${actions.retry} isBusy=${actions.isBusy} />
      <${Many} verb="Cancel" runs=${runs.filter(mayCancel)} onAct=${actions.cancel} isBusy=${actions.isBusy} />
      <span role="status">${actions.done}</span>
    </div>
    <${Failure} error=${actions.failure} />
    <${Table} list=${list} columns=${COLUMNS} label="Runs" empty="There are no such runs." row=${(run) => html`
      <td><input type="checkbox" aria-label="Select ${run.id}" checked=${chosen.has(run.id)}
        onChange=${(event) => choose(run, event.target.checked)} /></td>
      <td><a href="#/runs/${run.id}"><code>${run.id}</code></a></td>
      <td><${Status} status=${run.status} />${run.last_error && html` <span class="failure">${run.last_error.code}</span>`}</td>
      <td>${run.model}</td><td><${Moment} at=${run.created_at} /></td><td>${run.turn + 1}</td><td>${run.usage?.total_tokens ?? ""}</td>
      <td><${TemporalLink} run=${run} /></td>`} />`;
}

const Many = ({ verb, runs, onAct, isBusy }) => html`<button type="button" disabled=${isBusy || !runs.length}
  onClick=${() => onAct(runs)}>${verb} ${runs.length}</button>`;
