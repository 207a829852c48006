// Messages: create, list, read, change, delete.

import { equal, everyOne, has, hasId, isPageOf, repeated } from "./assertions.mjs";

const textPart = (value) => ({ type: "text", text: { value, annotations: [] } });

const written = (sdk, thread, ...texts) =>
  repeated(texts.length, (index) => sdk.messages.create(thread.id, { role: "user", content: texts[index] }));

export const messages = {
  async create(sdk) {
    const thread = await sdk.threads.create();

    const fields = { role: "user", content: "Hello", metadata: { place: "1" } };
    const message = await sdk.messages.create(thread.id, fields);

    hasId(message, "msg");
    has(message, { object: "thread.message", thread_id: thread.id, role: "user", metadata: { place: "1" } });
    has(message, { content: [textPart("Hello")], assistant_id: null, run_id: null, attachments: [] });
    const answer = await sdk.messages.create(thread.id, { role: "assistant", content: "Hi" });
    has(answer, { role: "assistant", assistant_id: null });
  },

  async create_from_parts(sdk) {
    const thread = await sdk.threads.create();

    const content = ["What is this?", "And that?"].map((text) => ({ type: "text", text }));
    const message = await sdk.messages.create(thread.id, { role: "user", content });

    has(message, { content: [textPart("What is this?"), textPart("And that?")] });
  },

  async create_with_image_url(sdk) {
    const thread = await sdk.threads.create();
    const image = { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } };

    const content = [{ type: "text", text: "What is this?" }, image];
    const message = await sdk.messages.create(thread.id, { role: "user", content });

    has(message, { content: [textPart("What is this?"), image] });
  },

  async list(sdk) {
    const thread = await sdk.threads.create();
    isPageOf(await sdk.messages.list(thread.id), [], false);

    const [first, second, third] = await written(sdk, thread, "a", "b", "c");

    isPageOf(await sdk.messages.list(thread.id), [third, second, first], false);
    isPageOf(await sdk.messages.list(thread.id, { order: "desc", limit: 2 }), [third, second], true);
    isPageOf(await sdk.messages.list(thread.id, { order: "asc", limit: 2 }), [first, second], true);
    isPageOf(await sdk.messages.list(thread.id, { order: "asc", limit: 3 }), [first, second, third], false);
  },

  async list_around_cursor(sdk) {
    const thread = await sdk.threads.create();
    const [first, second, third, fourth] = await written(sdk, thread, "a", "b", "c", "d");

    isPageOf(await sdk.messages.list(thread.id, { order: "asc", after: second.id }), [third, fourth], false);
    isPageOf(await sdk.messages.list(thread.id, { order: "desc", after: second.id }), [first], false);
    isPageOf(await sdk.messages.list(thread.id, { order: "asc", before: third.id }), [first, second], false);
    isPageOf(await sdk.messages.list(thread.id, { order: "desc", before: third.id }), [fourth], false);
    const between = { order: "asc", after: first.id, before: fourth.id };
    isPageOf(await sdk.messages.list(thread.id, between), [second, third], false);
  },

  async list_of_run(sdk) {
    const run = await sdk.completedRun();

    const page = await sdk.messages.list(run.thread_id, { run_id: run.id });

    equal(page.data.length, 1);
    has(page.data[0], { role: "assistant", run_id: run.id, assistant_id: run.assistant_id, status: "completed" });
    has(page.data[0], { content: [textPart("You said: Hello")] });
  },

  async list_every_page(sdk) {
    const thread = await sdk.thread(..."abcde");

    const found = await everyOne(sdk.messages.list(thread.id, { limit: 2 }));

    equal(found.map((message) => message.content[0].text.value), [..."edcba"]);
  },

  async retrieve(sdk) {
    const thread = await sdk.threads.create();
    const [created] = await written(sdk, thread, "Hello");

    equal(await sdk.ofMessage("retrieve", thread.id, created.id), created);
  },

  async update(sdk) {
    const thread = await sdk.threads.create();
    const [created] = await written(sdk, thread, "Hello");

    const updated = await sdk.ofMessage("update", thread.id, created.id, { metadata: { seen: "yes" } });

    has(updated, { id: created.id, created_at: created.created_at, metadata: { seen: "yes" } });
    equal(await sdk.ofMessage("retrieve", thread.id, created.id), updated);
  },

  async delete(sdk) {
    const thread = await sdk.thread("Hello", "Goodbye");
    const [goodbye, hello] = (await sdk.messages.list(thread.id)).data;

    const deleted = await sdk.deleteMessage(thread.id, hello.id);

    has(deleted, { id: hello.id, object: "thread.message.deleted", deleted: true });
    isPageOf(await sdk.messages.list(thread.id), [goodbye], false);
  },
};
