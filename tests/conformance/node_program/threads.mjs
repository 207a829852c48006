// Threads: create, read, change, delete, and create together with a run.

import { equal, has, hasId } from "./assertions.mjs";
import { MODEL, threadOf } from "./sdk.mjs";

export const threads = {
  async create(sdk) {
    const bare = await sdk.threads.create();
    hasId(bare, "thread");
    has(bare, { object: "thread", metadata: {} });

    has(await sdk.threads.create({ metadata: { user: "u1" } }), { metadata: { user: "u1" } });
  },

  async create_with_messages(sdk) {
    const messages = [
      { role: "user", content: "First", metadata: { place: "1" } },
      { role: "assistant", content: "Second" },
      { role: "user", content: [{ type: "text", text: "Third" }] },
    ];

    const thread = await sdk.threads.create({ messages, metadata: { user: "u1" } });

    has(thread, { metadata: { user: "u1" } });
    const found = (await sdk.messages.list(thread.id, { order: "asc" })).data;
    equal(found.map((message) => message.role), ["user", "assistant", "user"]);
    equal(found.map((message) => message.content[0].text.value), ["First", "Second", "Third"]);
    equal(found[0].metadata, { place: "1" });
  },

  async retrieve(sdk) {
    const created = await sdk.threads.create({ metadata: { user: "u1" } });

    equal(await sdk.threads.retrieve(created.id), created);
  },

  async update(sdk) {
    const created = await sdk.thread("Hello");

    const updated = await sdk.threads.update(created.id, { metadata: { user: "u2" } });

    has(updated, { id: created.id, created_at: created.created_at, metadata: { user: "u2" } });
    equal(await sdk.threads.retrieve(created.id), updated);
  },

  async delete(sdk) {
    const created = await sdk.thread("Hello");

    has(await sdk.deleteOne(sdk.threads, created.id), { id: created.id, object: "thread.deleted", deleted: true });
  },

  async create_and_run(sdk) {
    const assistant = await sdk.assistant();

    const fields = { assistant_id: assistant.id, thread: threadOf("Hello"), metadata: { ticket: "7" } };
    const run = await sdk.threads.createAndRun(fields);

    hasId(run, "run");
    hasId(await sdk.threads.retrieve(run.thread_id), "thread");
    has(run, { object: "thread.run", status: "queued", assistant_id: assistant.id, model: MODEL });
    has(run, { metadata: { ticket: "7" } });
    equal((await sdk.ofRun("poll", run)).status, "completed");
  },

  async create_and_run_poll(sdk) {
    const assistant = await sdk.assistant();

    const run = await sdk.threads.createAndRunPoll({ assistant_id: assistant.id, thread: threadOf("Hello") });

    has(run, { status: "completed", required_action: null, last_error: null, expires_at: null });
    equal(await sdk.texts(run.thread_id), ["Hello", "You said: Hello"]);
  },
};
