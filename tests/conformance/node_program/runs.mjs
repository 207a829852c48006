// Runs: create in every way, read, change, list, cancel, and answer their function calls.

import { equal, everyOne, has, hasId, idsOf, isPageOf, ok, repeated } from "./assertions.mjs";
import { CODE, CODE_MESSAGE, FOUND, LINK, LOGS, MODEL, callsOf, functionTool, outputsOf, threadOf } from "./sdk.mjs";

const namesOf = (calls) => calls.map((call) => call.function.name);

export const runs = {
  async create(sdk) {
    const [assistant, thread] = [await sdk.assistant("get_weather"), await sdk.thread("Hello")];

    const run = await sdk.runs.create(thread.id, { assistant_id: assistant.id });

    hasId(run, "run");
    has(run, { object: "thread.run", thread_id: thread.id, assistant_id: assistant.id, model: MODEL });
    has(run, { status: "queued", started_at: null, cancelled_at: null, failed_at: null, completed_at: null });
    has(run, { expires_at: run.created_at + 600, required_action: null, last_error: null, usage: null });
    has(run, { incomplete_details: null, metadata: {}, instructions: "Be brief." });
    has(run, { max_prompt_tokens: null, max_completion_tokens: null });
    has(run, { parallel_tool_calls: true, truncation_strategy: { type: "auto", last_messages: null } });
    has(run, { tool_choice: "auto", response_format: "auto", tools: assistant.tools });
    equal((await sdk.ofRun("poll", run)).status, "requires_action");
  },

  async create_without_instructions(sdk) {
    const [assistant, thread] = [await sdk.assistants.create({ model: MODEL }), await sdk.thread("Hello")];

    const run = await sdk.runs.createAndPoll(thread.id, { assistant_id: assistant.id });

    has(run, { status: "completed", instructions: "" });
  },

  async create_with_overrides(sdk) {
    const [assistant, thread] = [await sdk.assistant("get_weather"), await sdk.thread("Hello")];
    const overrides = {
      model: MODEL,
      metadata: { ticket: "7" },
      temperature: 0.5,
      top_p: 0.25,
      max_prompt_tokens: 1000,
      max_completion_tokens: 500,
      truncation_strategy: { type: "last_messages", last_messages: 5 },
      response_format: { type: "json_object" },
      tool_choice: { type: "function", function: { name: "get_time" } },
    };

    const run = await sdk.runs.create(thread.id, {
      assistant_id: assistant.id,
      instructions: "Be quick.",
      additional_instructions: "Be kind.",
      additional_messages: [{ role: "user", content: "And goodbye" }],
      tools: [functionTool("get_time"), functionTool("get_date")],
      ...overrides,
    });

    has(run, overrides);
    equal(run.instructions.split(/\s+/), ["Be", "quick.", "Be", "kind."]);
    equal(namesOf(run.tools), ["get_time", "get_date"]);
    equal(namesOf(callsOf(await sdk.ofRun("poll", run))), ["get_time"]);
    equal(await sdk.texts(thread.id), ["Hello", "And goodbye"]);
  },

  async create_with_json_schema(sdk) {
    const [assistant, thread] = [await sdk.assistant(), await sdk.thread("Where?")];
    const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    const wanted = { type: "json_schema", json_schema: { name: "place", strict: true, schema } };

    const run = await sdk.runs.createAndPoll(thread.id, { assistant_id: assistant.id, response_format: wanted });

    has(run, { response_format: wanted });
    equal(Object.keys(JSON.parse((await sdk.texts(thread.id)).at(-1))), ["city"]);
  },

  async create_and_poll(sdk) {
    const [assistant, thread] = [await sdk.assistant(), await sdk.thread("Hello")];

    const run = await sdk.runs.createAndPoll(thread.id, { assistant_id: assistant.id });

    has(run, { status: "completed", expires_at: null, cancelled_at: null, failed_at: null });
    ok(run.created_at <= run.started_at && run.started_at <= run.completed_at);
    equal(run.usage.total_tokens, run.usage.prompt_tokens + run.usage.completion_tokens);
    equal(await sdk.texts(thread.id), ["Hello", "You said: Hello"]);
  },

  async retrieve(sdk) {
    const run = await sdk.completedRun();

    equal(await sdk.ofRun("retrieve", run), run);
  },

  async update(sdk) {
    const run = await sdk.newCompletedRun();

    const updated = await sdk.ofRun("update", run, { metadata: { ticket: "7" } });

    has(updated, { id: run.id, status: "completed", metadata: { ticket: "7" } });
    equal(await sdk.ofRun("retrieve", run), updated);
  },

  async list(sdk) {
    const [assistant, thread] = [await sdk.assistant(), await sdk.thread("Hello")];
    const fields = { assistant_id: assistant.id };
    const [first, second, third] = await repeated(3, () => sdk.runs.createAndPoll(thread.id, fields));

    isPageOf(await sdk.runs.list(thread.id), [third, second, first], false);
    isPageOf(await sdk.runs.list(thread.id, { order: "asc", limit: 2 }), [first, second], true);
    isPageOf(await sdk.runs.list(thread.id, { after: third.id, before: first.id }), [second], false);
    equal(idsOf(await everyOne(sdk.runs.list(thread.id, { limit: 1 }))), idsOf([third, second, first]));
  },

  async cancel(sdk) {
    const waiting = await sdk.waitingRun("get_weather");

    equal((await sdk.ofRun("cancel", waiting)).status, "cancelling");

    const run = await sdk.ofRun("poll", waiting);
    has(run, { status: "cancelled", completed_at: null, failed_at: null, required_action: null, expires_at: null });
    ok(run.cancelled_at >= run.created_at);
  },

  async submit_tool_outputs(sdk) {
    const waiting = await sdk.waitingRun("get_weather");
    has(waiting, { status: "requires_action", usage: null });
    equal(namesOf(callsOf(waiting)), ["get_weather"]);
    const [call] = callsOf(waiting);
    hasId(call, "call");
    has(call, { type: "function" });
    equal(Object.keys(JSON.parse(call.function.arguments)), ["city"]);

    const run = await sdk.ofRun("submitToolOutputs", waiting, { tool_outputs: outputsOf(waiting) });

    has(run, { id: waiting.id, status: "queued", required_action: null, started_at: waiting.started_at });
    equal((await sdk.ofRun("poll", run)).status, "completed");
  },

  async submit_tool_outputs_and_poll(sdk) {
    const waiting = await sdk.waitingRun("get_weather");

    const run = await sdk.finish(waiting);

    has(run, { status: "completed", required_action: null });
    equal((await sdk.texts(run.thread_id)).at(-1), "get_weather returned: sunny, says get_weather");
  },

  async parallel_function_calls(sdk) {
    const waiting = await sdk.waitingRun("get_weather", "get_time");
    equal(namesOf(callsOf(waiting)), ["get_weather", "get_time"]);

    const run = await sdk.finish(waiting, outputsOf(waiting).reverse());

    equal(run.status, "completed");
    const answers = "get_weather returned: sunny, says get_weather get_time returned: sunny, says get_time";
    equal((await sdk.texts(run.thread_id)).at(-1), answers);
  },

  async file_search(sdk) {
    const assistant = await sdk.searchingAssistant();

    const run = await sdk.threads.createAndRunPoll({ assistant_id: assistant.id, thread: threadOf("How much vacation?") });

    has(run, { status: "completed", required_action: null });
    equal((await sdk.texts(run.thread_id)).at(-1), FOUND);
    const [step] = (await sdk.listSteps(run, { order: "asc" })).data;
    has(step, { type: "tool_calls", status: "completed" });
    const [call] = step.step_details.tool_calls;
    equal([call.type, call.file_search.results.map((result) => result.file_name)], ["file_search", ["page.md"]]);
  },

  async code_interpreter(sdk) {
    const assistant = await sdk.codingAssistant();

    const run = await sdk.threads.createAndRunPoll({ assistant_id: assistant.id, thread: threadOf(CODE_MESSAGE) });

    has(run, { status: "completed", required_action: null });
    const [step] = (await sdk.listSteps(run, { order: "asc" })).data;
    const [call] = step.step_details.tool_calls;
    const [logs, image] = call.code_interpreter.outputs;
    equal([call.type, call.code_interpreter.input, logs.logs], ["code_interpreter", CODE, LOGS]);
    const [shown, text] = (await sdk.messages.list(run.thread_id)).data[0].content;
    equal([shown.type, shown.image_file.file_id], ["image_file", image.image.file_id]);
    const [annotation] = text.text.annotations;
    equal([annotation.type, annotation.text], ["file_path", LINK]);
    equal(text.text.value.slice(annotation.start_index, annotation.end_index), LINK);
    equal(await (await sdk.files.content(annotation.file_path.file_id)).text(), "a");
  },

  async file_search_beside_functions(sdk) {
    const assistant = await sdk.searchingAssistant("get_weather");
    const thread = threadOf("How much vacation?");

    const waiting = await sdk.threads.createAndRunPoll({ assistant_id: assistant.id, thread });

    equal(namesOf(callsOf(waiting)), ["get_weather"]);
    const run = await sdk.finish(waiting);
    has(run, { status: "completed", required_action: null });
    const answer = `${FOUND} get_weather returned: sunny, says get_weather`;
    equal((await sdk.texts(run.thread_id)).at(-1), answer);
    const [step] = (await sdk.listSteps(run, { order: "asc" })).data;
    equal(step.step_details.tool_calls.map((call) => call.type), ["file_search", "function"]);
  },

  async one_function_call_at_a_time(sdk) {
    const [assistant, thread] = [await sdk.assistant("get_weather", "get_time"), await sdk.thread("Hello")];

    const fields = { assistant_id: assistant.id, parallel_tool_calls: false };
    const waiting = await sdk.runs.createAndPoll(thread.id, fields);

    has(waiting, { status: "requires_action", parallel_tool_calls: false });
    equal(callsOf(waiting).length, 1);
    equal((await sdk.finish(waiting)).status, "completed");
  },
};
