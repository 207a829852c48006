// The client's resources by name, its releases' orders of arguments, and objects for scenarios about something else.

export const MODEL = "holdfast/scripted";
/** Says "Once upon" and then nothing more. */
export const SPEAKS_AND_HANGS = "speaks-and-hangs";
/** Says "Once upon" and has no more tokens. */
export const CUT_OFF = "cut-off";
/** Says "Once upon", and the provider's content filter stops it. */
export const STOPPED_BY_FILTER = "stopped-by-filter";

export const LEAVE = "Every employee has 27 days of paid vacation a year.";
export const MARKER = "【0:0†page.md】";
/** What the model says after a search. */
export const FOUND = `file_search returned: ${LEAVE} ${MARKER}`;
export const CODE = `from PIL import Image
open("/mnt/data/a.csv", "w").write("a")
print("It is in sandbox:/mnt/data/a.csv")
Image.Image()
`;
export const CODE_MESSAGE = "Run this:\n```python\n" + CODE + "```";
export const LINK = "sandbox:/mnt/data/a.csv";
export const LOGS = `It is in ${LINK}\n`;
export const PARTS = "The pump needs the gasket AX-4410/B.";

/** The SDK's own interval is 5 s. */
export const QUICKLY = { pollIntervalMs: 100 };

export class Sdk {
  /** What is made once, for scenarios that do not change it. */
  #shared = new Map();

  /** `OpenAI` is the SDK's class, `major` its release, `answers` the store of answers. */
  constructor(OpenAI, major, options, answers) {
    const client = new OpenAI(options);
    Object.assign(this, { OpenAI, major, options, answers, client });
    this.models = client.models;
    this.files = client.files;
    this.uploads = client.uploads;
    this.vectorStores = client.vectorStores;
    this.assistants = client.beta.assistants;
    this.threads = client.beta.threads;
    this.messages = client.beta.threads.messages;
    this.runs = client.beta.threads.runs;
    this.steps = client.beta.threads.runs.steps;
  }

  /** Call a method of something nested. `ids` are in the order of the path, the thing's own last. */
  nested(resource, method, ids, body = {}) {
    if (this.major < 5) {
      const given = Object.keys(body).length ? [body] : [];
      return resource[method](...Object.values(ids), ...given);
    }
    // Since 5.0 the thing's own id comes first and the others go with the body.
    const [[, own], ...others] = Object.entries(ids).reverse();
    return resource[method](own, { ...Object.fromEntries(others), ...body });
  }

  ofMessage(method, threadId, messageId, body) {
    return this.nested(this.messages, method, { thread_id: threadId, message_id: messageId }, body);
  }

  ofRun(method, run, body) {
    return this.nested(this.runs, method, { thread_id: run.thread_id, run_id: run.id }, body);
  }

  listSteps(run, query) {
    return this.nested(this.steps, "list", { thread_id: run.thread_id, run_id: run.id }, query);
  }

  retrieveStep(run, stepId) {
    return this.nested(this.steps, "retrieve", { thread_id: run.thread_id, run_id: run.id, step_id: stepId });
  }

  ofStoreFile(method, storeId, fileId, body) {
    return this.nested(this.vectorStores.files, method, { vector_store_id: storeId, file_id: fileId }, body);
  }

  ofBatch(method, batch, body) {
    const ids = { vector_store_id: batch.vector_store_id, batch_id: batch.id };
    return this.nested(this.vectorStores.fileBatches, method, ids, body);
  }

  /** Every release takes the ids in the order of the path here. */
  pollStoreFile(storeId, fileId) {
    return this.vectorStores.files.poll(storeId, fileId, QUICKLY);
  }

  deleteOne(resource, id) {
    return resource[this.deleting](id);
  }

  deleteMessage(threadId, messageId) {
    return this.ofMessage(this.deleting, threadId, messageId);
  }

  get deleting() {
    return this.major < 5 ? "del" : "delete";
  }

  /** The same client with another key. */
  stranger(apiKey) {
    return new Sdk(this.OpenAI, this.major, { ...this.options, apiKey }, this.answers);
  }

  assistant(...functions) {
    const tools = functions.map(functionTool);
    return this.assistants.create({ model: MODEL, instructions: "Be brief.", tools });
  }

  /** It searches the store of `leave`, and has functions of these names. */
  async searchingAssistant(...functions) {
    const { vector_store_id } = await this.leave();
    const tools = [{ type: "file_search" }, ...functions.map(functionTool)];
    const resources = { file_search: { vector_store_ids: [vector_store_id] } };
    return this.assistants.create({ model: MODEL, tools, tool_resources: resources });
  }

  /** It runs the code of the user's message. */
  codingAssistant() {
    return this.assistants.create({ model: MODEL, tools: [{ type: "code_interpreter" }] });
  }

  thread(...texts) {
    return this.threads.create({ messages: texts.map((text) => ({ role: "user", content: text })) });
  }

  /** Shared. */
  completedRun() {
    return this.#once("completedRun", () => this.newCompletedRun());
  }

  async newCompletedRun() {
    const assistant = await this.assistant();
    return this.threads.createAndRunPoll({ assistant_id: assistant.id, thread: threadOf("Hello") });
  }

  /** Shared. It waits for the outputs of two functions. */
  unansweredRun() {
    return this.#once("unansweredRun", () => this.waitingRun("get_weather", "get_time"));
  }

  /** A run that waits for the outputs of `functions`, and so keeps its thread until it gets them. */
  async waitingRun(...functions) {
    const assistant = await this.assistant(...functions);
    const thread = threadOf("What is it like in Oslo?");
    return this.threads.createAndRunPoll({ assistant_id: assistant.id, thread });
  }

  /** Answer a waiting run's calls and wait for its end. */
  finish(run, outputs = outputsOf(run)) {
    return this.ofRun("submitToolOutputsAndPoll", run, { tool_outputs: outputs });
  }

  async file(text = LEAVE) {
    return this.files.create({ file: await this.OpenAI.toFile(Buffer.from(text), "page.md"), purpose: "assistants" });
  }

  store() {
    return this.vectorStores.create({ name: "Handbook" });
  }

  /** Shared. The only file of its store. */
  leave() {
    return this.#once("leave", async () => this.storedFile(await this.store()));
  }

  /** Shared. The two files of a store. */
  chapters() {
    return this.#once("chapters", async () => {
      const store = await this.store();
      const leave = await this.storedFile(store, LEAVE, { chapter: 1, draft: false });
      return [leave, await this.storedFile(store, PARTS, { chapter: 2 })];
    });
  }

  /** Shared. Of two files, in a store that had none. */
  completedBatch() {
    return this.#once("completedBatch", async () => {
      const [store, leave, parts] = [await this.store(), await this.file(LEAVE), await this.file(PARTS)];
      return this.vectorStores.fileBatches.createAndPoll(store.id, { file_ids: [leave.id, parts.id] }, QUICKLY);
    });
  }

  async #once(name, make) {
    // Not a failure.
    if (!this.#shared.has(name)) this.#shared.set(name, await make());
    return this.#shared.get(name);
  }

  /** A new file with this text, searchable in the store. */
  async storedFile(store, text = LEAVE, attributes = {}) {
    const file = await this.file(text);
    return this.vectorStores.files.createAndPoll(store.id, { file_id: file.id, attributes }, QUICKLY);
  }

  /** The texts of the thread's messages, oldest first. */
  async texts(threadId) {
    const page = await this.messages.list(threadId, { order: "asc" });
    return page.data.map((message) => message.content[0].text.value);
  }
}

export function functionTool(name) {
  const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  return { type: "function", function: { name, description: `Calls ${name}.`, parameters } };
}

export function threadOf(text) {
  return { messages: [{ role: "user", content: text }] };
}

export function callsOf(run) {
  return run.required_action.submit_tool_outputs.tool_calls;
}

export function outputsOf(run) {
  return callsOf(run).map((call) => ({ tool_call_id: call.id, output: `sunny, says ${call.function.name}` }));
}
