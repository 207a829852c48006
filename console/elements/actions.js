// Buttons whose action takes a while, can fail, or cannot be undone.
import { html } from "htm/preact";
import { useState } from "preact/hooks";

/** `attempt(action)` runs it; meanwhile `isBusy`, and afterwards `failure`, if it failed. */
export function useAttempt() {
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  async function attempt(action) {
    setBusy(true);
    setFailure(null);
    try {
      return await action();
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  }
  return { attempt, isBusy, failure, setFailure };
}

/** Asks before it acts. */
export function Delete({ name, onDelete }) {
  const [isAsked, setAsked] = useState(false);
  if (!isAsked) return html`<button type="button" aria-label="Delete ${name}" onClick=${() => setAsked(true)}>Delete</button>`;
  const focus = (button) => button?.focus();
  return html`<span class="asked">
    <button type="button" class="danger" ref=${focus} aria-label="Yes, delete ${name}" onClick=${() => { setAsked(false); onDelete(); }}>Yes, delete</button>
    <button type="button" onClick=${() => setAsked(false)}>Keep</button>
  </span>`;
}
