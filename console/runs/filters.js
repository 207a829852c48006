import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { get } from "../client/api.js";
import { nameOf } from "../chat/choose_assistant.js";

const STATUSES = ["queued", "in_progress", "requires_action", "cancelling", "completed", "incomplete", "failed", "cancelled", "expired"];
const HOUR = 3600;
const AGES = { "Any time": 0, "Last hour": HOUR, "Last day": 24 * HOUR, "Last week": 168 * HOUR };

export const NO_FILTER = { status: "", assistant: "", since: 0 };

/** As a query of `GET /ops/runs`. */
export function queryOf(filter) {
  const given = Object.entries(filter).filter(([, value]) => value);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

export function Filters({ filter, onChange }) {
  const [assistants, setAssistants] = useState([]);
  const [age, setAge] = useState(0);
  useEffect(() => { get("/assistants?limit=100").then((page) => setAssistants(page.data), () => {}); }, []);
  const change = (name) => (event) => onChange({ ...filter, [name]: event.target.value });
  // Fixed when it is chosen, so that the list stays the same one.
  const since = (event) => {
    const seconds = Number(event.target.value);
    setAge(seconds);
    onChange({ ...filter, since: seconds && Math.floor(Date.now() / 1000) - seconds });
  };
  return html`<form class="row" aria-label="Filter" onSubmit=${(event) => event.preventDefault()}>
    <label>Status <select value=${filter.status} onChange=${change("status")}><option value="">Any</option>
      ${STATUSES.map((name) => html`<option key=${name} value=${name}>${name.replace("_", " ")}</option>`)}</select></label>
    <label>Assistant <select value=${filter.assistant} onChange=${change("assistant")}><option value="">Any</option>
      ${assistants.map((each) => html`<option key=${each.id} value=${each.id}>${nameOf(each)}</option>`)}</select></label>
    <label>Time <select value=${age} onChange=${since}>
      ${Object.entries(AGES).map(([name, seconds]) => html`<option key=${name} value=${seconds}>${name}</option>`)}</select></label>
  </form>`;
}
