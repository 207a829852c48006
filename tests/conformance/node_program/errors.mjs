// Refused requests: the class that the SDK raises, and the texts, parameters and codes that programs match on.

import { refused } from "./assertions.mjs";
import { MODEL, callsOf, outputsOf } from "./sdk.mjs";

const ID = "0123456789abcdefghijklmn";

export const errors = {
  async missing_object(sdk) {
    const { NotFoundError } = sdk.OpenAI;
    const [{ id: thread }, run] = [await sdk.thread("Hello"), await sdk.completedRun()];
    const [asst, other, msg, gone, step] = ["asst", "thread", "msg", "run", "step"].map((prefix) => `${prefix}_${ID}`);

    for (const [call, message] of [
      [() => sdk.assistants.retrieve(asst), `No assistant found with id '${asst}'.`],
      [() => sdk.deleteOne(sdk.assistants, asst), `No assistant found with id '${asst}'.`],
      [() => sdk.runs.create(thread, { assistant_id: asst }), `No assistant found with id '${asst}'.`],
      [() => sdk.threads.retrieve(other), `No thread found with id '${other}'.`],
      [() => sdk.messages.list(other), `No thread found with id '${other}'.`],
      [() => sdk.ofMessage("retrieve", thread, msg), `No message found with id '${msg}'.`],
      [() => sdk.ofRun("retrieve", { thread_id: thread, id: gone }), `No run found with id '${gone}'.`],
      [() => sdk.ofRun("retrieve", { thread_id: thread, id: run.id }), `No run found with id '${run.id}'.`],
      [() => sdk.retrieveStep(run, step), `No run step found with id '${step}'.`],
    ]) {
      await refused(call, NotFoundError, message);
    }
  },

  async missing_model(sdk) {
    const message = "The model 'no-such-model' does not exist";
    const details = { param: "model", code: "model_not_found" };

    await refused(() => sdk.models.retrieve("no-such-model"), sdk.OpenAI.NotFoundError, message, details);
  },

  async malformed_id(sdk) {
    const message = "Invalid 'thread_id': 'undefined'. Expected an ID that begins with 'thread'.";
    const details = { param: "thread_id", code: "invalid_value" };

    await refused(() => sdk.threads.retrieve("undefined"), sdk.OpenAI.BadRequestError, message, details);
  },

  async missing_parameter(sdk) {
    const message = "Missing required parameter: 'messages[0].content'.";
    const details = { param: "messages[0].content", code: "missing_required_parameter" };
    const body = { messages: [{ role: "user" }] };

    await refused(() => sdk.threads.create(body), sdk.OpenAI.BadRequestError, message, details);
  },

  async unknown_parameter(sdk) {
    const message = "Unknown parameter: 'colour'.";
    const details = { param: "colour", code: "unknown_parameter" };
    const body = { model: MODEL, colour: "blue" };

    await refused(() => sdk.assistants.create(body), sdk.OpenAI.BadRequestError, message, details);
  },

  async value_out_of_range(sdk) {
    const message = "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.";
    const details = { param: "limit", code: "integer_above_max_value" };

    await refused(() => sdk.assistants.list({ limit: 101 }), sdk.OpenAI.BadRequestError, message, details);
  },

  async message_while_run_is_active(sdk) {
    const run = await sdk.unansweredRun();
    const message = `Can't add messages to ${run.thread_id} while a run ${run.id} is active.`;
    const body = { role: "user", content: "Hurry" };

    await refused(() => sdk.messages.create(run.thread_id, body), sdk.OpenAI.BadRequestError, message);
  },

  async run_while_run_is_active(sdk) {
    const run = await sdk.unansweredRun();
    const message = `Thread ${run.thread_id} already has an active run ${run.id}.`;
    const body = { assistant_id: run.assistant_id };

    await refused(() => sdk.runs.create(run.thread_id, body), sdk.OpenAI.BadRequestError, message);
  },

  async outputs_in_wrong_status(sdk) {
    const waiting = await sdk.waitingRun("get_weather");
    await sdk.finish(waiting);
    const message = 'Runs in status "completed" do not accept tool outputs.';
    const body = { tool_outputs: outputsOf(waiting) };

    await refused(() => sdk.ofRun("submitToolOutputs", waiting, body), sdk.OpenAI.BadRequestError, message);
  },

  async outputs_missing(sdk) {
    const run = await sdk.unansweredRun();
    const [first, second] = callsOf(run);
    const message = `Expected tool outputs for call_ids ['${first.id}', '${second.id}'], got ['${first.id}']`;
    const body = { tool_outputs: outputsOf(run).slice(0, 1) };

    await refused(() => sdk.ofRun("submitToolOutputs", run, body), sdk.OpenAI.BadRequestError, message);
  },

  async cancel_of_ended_run(sdk) {
    const run = await sdk.completedRun();
    const message = "Cannot cancel run with status 'completed'.";

    await refused(() => sdk.ofRun("cancel", run), sdk.OpenAI.BadRequestError, message);
  },

  async wrong_api_key(sdk) {
    const { models, OpenAI } = sdk.stranger("sk-wrong");
    const message = "Incorrect API key provided: ****.";

    await refused(() => models.list(), OpenAI.AuthenticationError, message, { code: "invalid_api_key" });
  },
};
