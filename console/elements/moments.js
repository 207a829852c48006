import { html } from "htm/preact";

const FULL = { dateStyle: "medium", timeStyle: "medium" };

/** A time of the API, in seconds since the epoch. */
export function Moment({ at }) {
  if (at === null || at === undefined) return null;
  const date = new Date(at * 1000);
  const isToday = date.toDateString() === new Date().toDateString();
  return html`<time datetime=${date.toISOString()} title=${date.toLocaleString(undefined, FULL)}>
    ${isToday ? date.toLocaleTimeString() : date.toLocaleDateString()}</time>`;
}

export const duration = (ms) => (ms < 1000 ? `${ms} ms` : ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`);

export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
