// A run's events, from the first to the last. After a break they go on behind the last one that arrived.
import { EventSource } from "eventsource";
import { headers, url } from "./api.js";
import { setLost } from "./connection.js";
import { askForKey } from "./key.js";

const RUN = ["created", "queued", "in_progress", "requires_action", "completed", "incomplete", "failed", "cancelling", "cancelled", "expired"];
const STEP = ["created", "in_progress", "delta", "completed", "failed", "cancelled", "expired"];
const MESSAGE = ["created", "in_progress", "delta", "completed", "incomplete"];
const NAMES = [
  ...RUN.map((name) => `thread.run.${name}`),
  ...STEP.map((name) => `thread.run.step.${name}`),
  ...MESSAGE.map((name) => `thread.message.${name}`),
];
const PAUSE_MS = 2000;
// The server fills silence with keepalives, every 15 seconds by default: a stream this silent is dead.
const SILENCE_MS = 60_000;

/** `onEvent` gets each event once, `onEnd` is called after the last. Returns a function that stops it. */
export function follow(run, { onEvent, onEnd }) {
  let source = null, waiting = null, last = -1;

  function open() {
    source = new EventSource(url(`/threads/${run.thread_id}/runs/${run.id}/events${last < 0 ? "" : `?after=${last}`}`), { fetch: withKey });
    for (const name of NAMES) source.addEventListener(name, (event) => arrived(event, name));
    source.addEventListener("open", () => { setLost(false); listen(); });
    source.addEventListener("keepalive", listen);
    source.addEventListener("done", () => end());
    source.addEventListener("error", broken);
    listen();
  }

  function arrived(event, name) {
    listen();
    if (Number(event.lastEventId) <= last) return;
    last = Number(event.lastEventId);
    onEvent({ name, data: JSON.parse(event.data) });
  }

  function broken(event) {
    // The server's own word, such as that it stops, comes as an event of the same name.
    if (event.data !== undefined) return event.data.includes("run_deleted") ? end() : undefined;
    if (event.code === 401) askForKey();
    if (event.code === 404) return end();
    setLost(true);
    if (source.readyState === source.CLOSED) again(PAUSE_MS);
  }

  const listen = () => again(SILENCE_MS);
  function again(delay) {
    clearTimeout(waiting);
    waiting = setTimeout(() => { source.close(); open(); }, delay);
  }
  function stop() {
    clearTimeout(waiting);
    source.close();
  }
  function end() {
    stop();
    onEnd();
  }

  open();
  return stop;
}

const withKey = (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...headers() } });
