// Streams of runs: the events as they arrive, and the results of the SDK's AssistantStream.

import { equal, has, ok } from "./assertions.mjs";
import { CODE, CODE_MESSAGE, CUT_OFF, FOUND, LEAVE, LINK, LOGS, MARKER, SPEAKS_AND_HANGS } from "./sdk.mjs";
import { STOPPED_BY_FILTER, callsOf, outputsOf, threadOf } from "./sdk.mjs";

const RUN_BEGUN = ["run.created", "run.queued", "run.in_progress"];
const RESUMED = ["run.step.completed", "run.queued", "run.in_progress"];
const STEP_BEGUN = ["run.step.created", "run.step.in_progress"];
const MESSAGE_BEGUN = [...STEP_BEGUN, "message.created", "message.in_progress", "message.delta"];
const MESSAGE = [...MESSAGE_BEGUN, "message.completed", "run.step.completed"];
const CALLS = [...STEP_BEGUN, "run.step.delta", "run.requires_action"];

export const streams = {
  async create_run(sdk) {
    const [assistant, thread] = [await sdk.assistant(), await sdk.thread("Hello")];

    const events = await all(await sdk.runs.create(thread.id, { assistant_id: assistant.id, stream: true }));

    equal(namesOf(events), [...RUN_BEGUN, ...MESSAGE, "run.completed"]);
    equal(said(events), "You said: Hello");
    const [message, step, run] = events.slice(-3).map((event) => event.data);
    equal(run, await sdk.ofRun("retrieve", run));
    equal(step, (await sdk.listSteps(run)).data[0]);
    equal(message, (await sdk.messages.list(thread.id)).data[0]);
  },

  async create_thread_and_run(sdk) {
    const events = await streamOf(sdk, { thread: threadOf("Hello") });

    equal(namesOf(events), ["created", ...RUN_BEGUN, ...MESSAGE, "run.completed"]);
    equal(said(events), "You said: Hello");
    equal(events[0].data, await sdk.threads.retrieve(events.at(-1).data.thread_id));
  },

  async submit_tool_outputs(sdk) {
    const assistant = await sdk.assistant("get_weather", "get_time");
    const asked = await streamOf(sdk, { assistant_id: assistant.id });
    const run = asked.at(-1).data;
    equal(namesOf(asked), ["created", ...RUN_BEGUN, ...CALLS]);

    const fields = { tool_outputs: outputsOf(run), stream: true };
    const answered = await all(await sdk.ofRun("submitToolOutputs", run, fields));

    equal(namesOf(answered), [...RESUMED, ...MESSAGE, "run.completed"]);
    const outputs = answered[0].data.step_details.tool_calls.map((call) => call.function.output);
    equal(outputs, ["sunny, says get_weather", "sunny, says get_time"]);
    equal(said(answered), (await sdk.texts(run.thread_id)).at(-1));
  },

  async handler_of_run(sdk) {
    const [assistant, thread] = [await sdk.assistant(), await sdk.thread("Hello")];

    const stream = sdk.runs.stream(thread.id, { assistant_id: assistant.id });
    const heard = listened(stream);
    const [message] = await stream.finalMessages();

    equal(heard.names.slice(-3), ["message.completed", "run.step.completed", "run.completed"]);
    equal(heard.text, "You said: Hello");
    // In 4.104.0 it is the accumulated one, whose status and times are those of its beginning.
    equal(message.content[0].text.value, heard.text);
    equal(heard.messagesDone, (await sdk.messages.list(thread.id, { limit: 1 })).data);
    const run = await stream.finalRun();
    has(run, { thread_id: thread.id, status: "completed" });
    equal(await stream.finalRunSteps(), (await sdk.listSteps(run)).data);
  },

  async handler_of_thread_and_run(sdk) {
    const assistant = await sdk.assistant();

    const stream = sdk.threads.createAndRunStream({ assistant_id: assistant.id, thread: threadOf("Hello") });
    const heard = listened(stream);
    const [message] = await stream.finalMessages();

    equal(heard.text, "You said: Hello");
    equal(message.content[0].text.value, heard.text);
  },

  async handler_of_function_calls(sdk) {
    const [assistant, thread] = [await sdk.assistant("get_weather", "get_time"), await sdk.thread("Hello")];

    const asking = sdk.runs.stream(thread.id, { assistant_id: assistant.id });
    const asked = listened(asking);
    const run = await asking.finalRun();

    equal(run.status, "requires_action");
    equal(asked.arguments.map((text) => Object.keys(JSON.parse(text))), [["city"], ["city"]]);
    equal(asked.arguments, callsOf(run).map((call) => call.function.arguments));
    equal(asked.calls, callsOf(run).map((call) => call.id));

    const answering = sdk.ofRun("submitToolOutputsStream", run, { tool_outputs: outputsOf(run) });
    const answered = listened(answering);
    equal((await answering.finalRun()).status, "completed");
    equal(answered.text, (await sdk.texts(run.thread_id)).at(-1));
    equal(answered.stepsDone, (await sdk.listSteps(run, { order: "asc" })).data);
  },

  async handler_of_file_search(sdk) {
    const [assistant, thread] = [await sdk.searchingAssistant(), await sdk.thread("How much vacation?")];

    const searching = sdk.runs.stream(thread.id, { assistant_id: assistant.id });
    const heard = listened(searching);
    const run = await searching.finalRun();

    equal(run.status, "completed");
    equal(heard.text, FOUND);
    equal(heard.calls.length, 1);
    equal(heard.stepsDone, (await sdk.listSteps(run, { order: "asc" })).data);
  },

  async handler_of_code_interpreter(sdk) {
    const [assistant, thread] = [await sdk.codingAssistant(), await sdk.thread(CODE_MESSAGE)];
    const [inputs, outputs, shown] = [[], [], []];

    const coding = sdk.runs.stream(thread.id, { assistant_id: assistant.id });
    const heard = listened(coding);
    coding.on("toolCallDelta", (delta) => {
      inputs.push(delta.code_interpreter.input ?? "");
      outputs.push(...(delta.code_interpreter.outputs ?? []));
    });
    coding.on("imageFileDone", (image) => shown.push(image.file_id));
    const run = await coding.finalRun();

    equal([run.status, inputs.join(""), inputs.length > 1], ["completed", CODE, true]);
    const [logs, image] = outputs;
    equal([logs.index, logs.logs, image.index], [0, LOGS, 1]);
    equal(shown, [image.image.file_id]);
    equal(heard.stepsDone, (await sdk.listSteps(run, { order: "asc" })).data);
    const [message] = heard.messagesDone;
    equal(message, (await sdk.messages.list(thread.id)).data[0]);
    equal(message.content.map((part) => part.type), ["image_file", "text"]);
    equal(message.content[1].text.annotations.map((each) => each.text), [LINK]);
  },

  async handler_of_citations(sdk) {
    const [assistant, thread] = [await sdk.searchingAssistant(), await sdk.thread("How much vacation?")];
    const streamed = [];

    const citing = sdk.runs.stream(thread.id, { assistant_id: assistant.id });
    const heard = listened(citing);
    citing.on("textDelta", (delta) => streamed.push(...(delta.annotations ?? [])));
    await citing.done();

    const [message] = heard.messagesDone;
    equal(message, (await sdk.messages.list(thread.id)).data[0]);
    const { value, annotations } = message.content[0].text;
    equal(value, FOUND);
    const [annotation, ...others] = annotations;
    equal(others, []);
    has(annotation, { type: "file_citation", text: MARKER, start_index: value.indexOf(MARKER), end_index: value.length });
    equal(annotation.file_citation.quote, LEAVE);
    equal((await sdk.files.retrieve(annotation.file_citation.file_id)).filename, "page.md");
    equal(streamed, [{ index: 0, ...annotation }]);
  },

  async handler_that_submits(sdk) {
    const [assistant, thread] = [await sdk.assistant("get_weather"), await sdk.thread("Hello")];

    const asking = sdk.runs.stream(thread.id, { assistant_id: assistant.id });
    // The outputs are submitted while the stream that asked for them is still open.
    const answered = new Promise((resolve, reject) => {
      asking.on("event", ({ event, data: run }) => {
        if (event !== "thread.run.requires_action") return;
        const answering = sdk.ofRun("submitToolOutputsStream", run, { tool_outputs: outputsOf(run) });
        const heard = listened(answering);
        answering.done().then(() => resolve(heard), reject);
      });
      asking.done().catch(reject);
    });

    equal((await answered).text, "get_weather returned: sunny, says get_weather");
    equal((await answered).names.at(-1), "run.completed");
    equal((await asking.finalRun()).status, "requires_action");
  },

  async run_that_fails(sdk) {
    const events = await streamOf(sdk, { model: STOPPED_BY_FILTER });

    equal(namesOf(events).slice(-4), ["message.delta", "message.incomplete", "run.step.failed", "run.failed"]);
    has(events.at(-3).data, { incomplete_details: { reason: "content_filter" } });
    const { message } = events.at(-1).data.last_error;
    equal(message, "The model's answer was stopped by the provider's content filter.");
  },

  async run_that_is_cancelled(sdk) {
    const events = await streamOf(sdk, { model: SPEAKS_AND_HANGS }, (run) => sdk.ofRun("cancel", run));

    const ending = ["run.cancelling", "message.incomplete", "run.step.cancelled", "run.cancelled"];
    equal(namesOf(events).slice(-5), ["message.delta", ...ending]);
    has(events.at(-3).data, { incomplete_details: { reason: "run_cancelled" } });
    equal(said(events), "Once upon");
  },

  async run_that_expires_in_silence(sdk) {
    const expiry = { anchor: "created_at", seconds: 3 };

    const events = await streamOf(sdk, { model: SPEAKS_AND_HANGS, expires_after: expiry });

    equal(namesOf(events).slice(-4), ["message.delta", "message.incomplete", "run.step.expired", "run.expired"]);
    has(events.at(-3).data, { incomplete_details: { reason: "run_expired" } });
    ok((await sdk.answers.keepalivesOfLastStream()) > 0);
  },

  async run_that_is_incomplete(sdk) {
    const events = await streamOf(sdk, { model: CUT_OFF });

    const ending = ["message.incomplete", "run.step.completed", "run.incomplete"];
    equal(namesOf(events).slice(-4), ["message.delta", ...ending]);
    has(events.at(-3).data, { incomplete_details: { reason: "max_tokens" } });
    equal(said(events), "Once upon");
    equal(events.at(-1).data.incomplete_details, { reason: "max_completion_tokens" });
  },

  async stream_that_breaks(sdk) {
    const broken = streamOf(sdk, { model: SPEAKS_AND_HANGS }, (run) => sdk.deleteOne(sdk.threads, run.thread_id));

    const error = await broken.then(
      () => new Error("was not raised, expected APIError: The run was deleted."),
      (raised) => raised,
    );
    if (!(error instanceof sdk.OpenAI.APIError)) throw error;
    equal([error.error.message, error.code], ["The run was deleted.", "run_deleted"]);
  },
};

/** The events of a run on a new thread; `onMessage` is called with the run once the model has said all it will. */
async function streamOf(sdk, fields, onMessage = () => {}) {
  const assistant_id = fields.assistant_id ?? (await sdk.assistant()).id;
  const body = { thread: threadOf("Hello"), ...fields, assistant_id, stream: true };
  const events = [];
  for await (const event of await sdk.threads.createAndRun(body)) {
    events.push(event);
    if (event.event === "thread.message.delta" && said(events) === "Once upon") {
      await onMessage(events.find((each) => each.event === "thread.run.created").data);
    }
  }
  return events;
}

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

/** The SDK's callbacks for a stream. */
function listened(stream) {
  const heard = { names: [], text: "", arguments: [], calls: [], messagesDone: [], stepsDone: [] };
  stream.on("event", ({ event }) => heard.names.push(event.replace(/^thread\./, "")));
  stream.on("textDelta", (delta, snapshot) => {
    heard.text += delta.value;
    equal(snapshot.value, heard.text);
  });
  stream.on("toolCallCreated", (call) => heard.calls.push(call.id));
  stream.on("toolCallDelta", (delta) => {
    heard.arguments[delta.index] = (heard.arguments[delta.index] ?? "") + (delta.function?.arguments ?? "");
  });
  stream.on("messageDone", (message) => heard.messagesDone.push(message));
  stream.on("runStepDone", (step) => heard.stepsDone.push(step));
  return heard;
}

/** Without their common prefix, and deltas that follow each other as one. */
function namesOf(events) {
  const names = events.map((event) => event.event.replace(/^thread\./, ""));
  return names.filter((name, place) => !(name.endsWith("delta") && names[place - 1] === name));
}

/** The text deltas joined. */
function said(events) {
  const deltas = events.filter((event) => event.event === "thread.message.delta").map((event) => event.data.delta);
  return deltas.flatMap((delta) => delta.content.map((part) => part.text.value)).join("");
}
