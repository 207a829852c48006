// What operators do with runs, one or many.
import { useState } from "preact/hooks";
import { post } from "../client/api.js";
import { useAttempt } from "../elements/actions.js";

const CANCELLABLE = ["queued", "in_progress", "requires_action"];

export const mayRetry = (run) => run.status === "failed";
export const mayCancel = (run) => CANCELLABLE.includes(run.status);

/** `done` says what was done; a run that could not be moved does not keep the others from it. */
export function useRunActions(onDone) {
  const { attempt, isBusy, failure } = useAttempt();
  const [done, setDone] = useState("");

  const act = (runs, verb, past, body) => attempt(async () => {
    const failed = [];
    for (const run of runs) await post(`/ops/runs/${run.id}/${verb}`, body).catch((error) => failed.push(`${run.id}: ${error.message}`));
    setDone(`${past} ${runs.length - failed.length}`);
    await onDone();
    if (failed.length) throw new Error(failed.join("\n"));
  });
  return {
    isBusy, failure, done,
    retry: (runs) => act(runs, "retry", "Retried", { by: "console" }),
    cancel: (runs) => act(runs, "cancel", "Cancelled", {}),
  };
}
