import { html } from "htm/preact";

/** The status of a run, file or store. */
export const Status = ({ status }) => html`<span class="status ${status}">${status.replaceAll("_", " ")}</span>`;

/** What went wrong, as the server says it. */
export const Failure = ({ error }) => error && html`<p class="failure" role="alert">${error.message ?? error}</p>`;

export const Loading = () => html`<p class="quiet" role="status">Loading…</p>`;
