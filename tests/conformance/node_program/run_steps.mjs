// Run steps: list and read.

import { equal, has, hasId, isPageOf } from "./assertions.mjs";
import { callsOf } from "./sdk.mjs";

const outputsOf = (step) => step.step_details.tool_calls.map((call) => call.function.output);
const toldBy = (calls) => calls.map((call) => [call.id, call.function.name]);

export const runSteps = {
  async list(sdk) {
    const waiting = await sdk.waitingRun("get_weather", "get_time");
    const open = (await sdk.listSteps(waiting)).data;
    equal(open.length, 1);
    has(open[0], { type: "tool_calls", status: "in_progress", completed_at: null, usage: null });
    equal(outputsOf(open[0]), [null, null]);

    const run = await sdk.finish(waiting);

    const [calls, message, ...others] = (await sdk.listSteps(run, { order: "asc" })).data;
    equal(others, []);
    has(calls, { id: open[0].id, type: "tool_calls", status: "completed", last_error: null });
    equal(toldBy(calls.step_details.tool_calls), toldBy(callsOf(waiting)));
    equal(outputsOf(calls), ["sunny, says get_weather", "sunny, says get_time"]);
    has(message, { type: "message_creation", status: "completed" });
    equal(calls.usage.total_tokens + message.usage.total_tokens, run.usage.total_tokens);
    isPageOf(await sdk.listSteps(run, { limit: 1 }), [message], true);
    isPageOf(await sdk.listSteps(run, { after: message.id }), [calls], false);
  },

  async retrieve(sdk) {
    const run = await sdk.completedRun();
    const [listed] = (await sdk.listSteps(run)).data;
    const [answer] = (await sdk.messages.list(run.thread_id, { run_id: run.id })).data;

    const step = await sdk.retrieveStep(run, listed.id);

    equal(step, listed);
    hasId(step, "step");
    has(step, { object: "thread.run.step", run_id: run.id, thread_id: run.thread_id, assistant_id: run.assistant_id });
    has(step, { failed_at: null, cancelled_at: null, expired_at: null });
    equal(step.step_details.message_creation.message_id, answer.id);
  },
};
