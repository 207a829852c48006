// What a conversation shows of a run: one entry for each step, with its message or its calls. Pure.
import { accumulate } from "./accumulate.js";

const LOST = ["failed", "cancelled", "expired"];

const messageId = (step) => step.step_details.message_creation?.message_id;
const calls = (step) => step.step_details.tool_calls ?? [];

/** A run as the server has it now. `messages` are those of its thread, by id. */
export const storedRun = (run, steps, messages) => ({
  run,
  entries: steps.map((step) => ({ step, calls: calls(step), message: messages.get(messageId(step)) })).filter(isShown),
});

// A step whose attempt was lost left no message in the thread.
const isShown = (entry) => !messageId(entry.step) || entry.message;

/** A run of which no event is known yet. */
export const newRun = (run) => ({ run, entries: [] });

/** `shown`, and what one more event makes of it. */
export function withEvent(shown, { name, data }) {
  if (name === "thread.run.step.delta") return withDelta(shown, data);
  if (name.startsWith("thread.run.step.")) return withStep(shown, data);
  if (name === "thread.message.delta") return withMessage(shown, data.id, (was) => accumulate(was, data.delta));
  if (name.startsWith("thread.message.")) return withMessage(shown, data.id, () => data);
  if (name.startsWith("thread.run.")) return { ...shown, run: data };
  return shown;
}

const isOf = (id) => (entry) => entry.step.id === id;

function withDelta(shown, { id, delta }) {
  const more = delta.step_details?.tool_calls ?? [];
  return changed(shown, isOf(id), (entry) => ({ ...entry, calls: accumulate(entry.calls, more) }));
}

function withStep(shown, step) {
  const isIt = isOf(step.id);
  // The details of an open step have no calls yet: its deltas bring them.
  const update = (entry) => ({ ...entry, step, calls: calls(step).length ? calls(step) : entry.calls });
  if (shown.entries.some(isIt)) return changed(shown, isIt, update);
  // The next step begins after a lost attempt: what it had said is no part of the answer.
  const kept = shown.entries.filter((entry) => !LOST.includes(entry.step.status));
  return { ...shown, entries: [...kept, { step, calls: calls(step), message: undefined }] };
}

const withMessage = (shown, id, update) =>
  changed(shown, (entry) => messageId(entry.step) === id, (entry) => ({ ...entry, message: update(entry.message) }));

const changed = (shown, isIt, update) => ({ ...shown, entries: shown.entries.map((entry) => (isIt(entry) ? update(entry) : entry)) });
