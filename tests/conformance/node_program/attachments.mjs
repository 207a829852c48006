// Files of messages: attached for tools, and shown as images.

import { equal, has, refused } from "./assertions.mjs";
import { MODEL } from "./sdk.mjs";

const FOR_SEARCH = { type: "file_search" };
const FOR_INTERPRETER = { type: "code_interpreter" };
const PNG = Buffer.from("\x89PNG\r\n\x1a\nimage", "latin1");

const messageWith = (file, ...tools) => ({
  role: "user",
  content: "vacation",
  attachments: [{ file_id: file.id, tools }],
});

/** The files in the thread's vector store, oldest first. */
const searchable = async (sdk, threadId) => {
  const [storeId] = (await sdk.threads.retrieve(threadId)).tool_resources.file_search.vector_store_ids;
  const page = await sdk.vectorStores.files.list(storeId, { order: "asc" });
  return page.data.map((file) => file.id);
};

export const attachments = {
  async of_message(sdk) {
    const [thread, file] = [await sdk.threads.create(), await sdk.file()];

    const message = await sdk.messages.create(thread.id, messageWith(file, FOR_SEARCH));

    has(message, { attachments: [{ file_id: file.id, tools: [FOR_SEARCH] }] });
    equal(await sdk.ofMessage("retrieve", thread.id, message.id), message);
    equal(await searchable(sdk, thread.id), [file.id]);
  },

  async for_both_tools(sdk) {
    const [thread, file] = [await sdk.threads.create(), await sdk.file()];

    await sdk.messages.create(thread.id, messageWith(file, FOR_SEARCH, FOR_INTERPRETER));

    equal(await searchable(sdk, thread.id), [file.id]);
    equal((await sdk.threads.retrieve(thread.id)).tool_resources.code_interpreter.file_ids, [file.id]);
  },

  async of_new_thread(sdk) {
    const [first, second] = [await sdk.file(), await sdk.file()];

    const messages = [first, second].map((file) => messageWith(file, FOR_SEARCH));
    const thread = await sdk.threads.create({ messages });

    equal(await searchable(sdk, thread.id), [first.id, second.id]);
  },

  async of_additional_message(sdk) {
    const [thread, file, assistant] = [await sdk.threads.create(), await sdk.file(), await sdk.assistant()];

    const fields = { assistant_id: assistant.id, additional_messages: [messageWith(file, FOR_SEARCH)] };
    const run = await sdk.runs.create(thread.id, fields);

    equal((await sdk.ofRun("poll", run)).status, "completed");
    equal(await searchable(sdk, thread.id), [file.id]);
  },

  async searched_by_run(sdk) {
    const file = await sdk.file();
    const assistant = await sdk.assistants.create({ model: MODEL, tools: [FOR_SEARCH] });
    const thread = { messages: [messageWith(file, FOR_SEARCH)] };

    const run = await sdk.threads.createAndRunPoll({ assistant_id: assistant.id, thread });

    equal(run.status, "completed");
    const [step] = (await sdk.listSteps(run, { order: "asc" })).data;
    const [call] = step.step_details.tool_calls;
    equal(call.type, "file_search");
    equal(call.file_search.results.map((result) => result.file_id), [file.id]);
  },

  async image_file(sdk) {
    const file = await sdk.files.create({ file: await sdk.OpenAI.toFile(PNG, "photo.png"), purpose: "assistants" });
    const image = { type: "image_file", image_file: { file_id: file.id } };
    const content = [{ type: "text", text: "Look!" }, image];
    const thread = await sdk.threads.create({ messages: [{ role: "user", content }] });
    const assistant = await sdk.assistant();

    const run = await sdk.runs.createAndPoll(thread.id, { assistant_id: assistant.id });

    equal(run.status, "completed");
    const [answer, message] = (await sdk.messages.list(thread.id)).data;
    equal(message.content[1].image_file.file_id, file.id);
    equal(answer.content[0].text.value, "You said: Look! I see 1 image.");
  },

  async missing_file(sdk) {
    const thread = await sdk.threads.create();
    const body = messageWith({ id: "file-missing" }, FOR_SEARCH);

    const message = "No such File object: file-missing";
    await refused(() => sdk.messages.create(thread.id, body), sdk.OpenAI.NotFoundError, message, { param: "id" });
    equal((await sdk.messages.list(thread.id)).data, []);
  },
};
