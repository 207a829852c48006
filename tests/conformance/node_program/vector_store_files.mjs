// Files of vector stores: add, list, read, change, remove.

import { equal, everyOne, has, isPageOf, ok } from "./assertions.mjs";
import { LEAVE, PARTS, QUICKLY } from "./sdk.mjs";

export const vectorStoreFiles = {
  async create(sdk) {
    const [store, file] = [await sdk.store(), await sdk.file()];

    const added = await sdk.vectorStores.files.create(store.id, { file_id: file.id });

    has(added, { id: file.id, object: "vector_store.file", vector_store_id: store.id });
    has(added, { status: "in_progress", last_error: null });
    equal((await sdk.pollStoreFile(store.id, file.id)).status, "completed");
  },

  async create_with_attributes(sdk) {
    const [store, file] = [await sdk.store(), await sdk.file()];
    const fields = {
      attributes: { chapter: 1, title: "Leave", draft: false, weight: 0.5 },
      chunking_strategy: { type: "static", static: { max_chunk_size_tokens: 100, chunk_overlap_tokens: 50 } },
    };

    has(await sdk.vectorStores.files.create(store.id, { file_id: file.id, ...fields }), fields);
  },

  async create_and_poll(sdk) {
    const [store, file] = [await sdk.store(), await sdk.file()];

    const added = await sdk.vectorStores.files.createAndPoll(store.id, { file_id: file.id }, QUICKLY);

    has(added, { id: file.id, vector_store_id: store.id, status: "completed", last_error: null });
    ok(added.usage_bytes > 0);
  },

  async upload_and_poll(sdk) {
    const store = await sdk.store();

    const file = await sdk.OpenAI.toFile(Buffer.from(LEAVE), "leave.md");
    const added = await sdk.vectorStores.files.uploadAndPoll(store.id, file, QUICKLY);

    has(added, { vector_store_id: store.id, status: "completed" });
    has(await sdk.files.retrieve(added.id), { filename: "leave.md", purpose: "assistants" });
  },

  async retrieve(sdk) {
    const added = await sdk.leave();

    equal(await sdk.ofStoreFile("retrieve", added.vector_store_id, added.id), added);
  },

  async list(sdk) {
    const store = await sdk.store();
    const [first, second] = [await sdk.storedFile(store, LEAVE), await sdk.storedFile(store, PARTS)];
    const list = (query) => sdk.vectorStores.files.list(store.id, query);

    isPageOf(await list(), [second, first], false);
    isPageOf(await list({ order: "asc", limit: 1 }), [first], true);
    isPageOf(await list({ order: "asc", after: first.id, filter: "completed" }), [second], false);
    isPageOf(await list({ filter: "failed" }), [], false);
  },

  async update(sdk) {
    const store = await sdk.store();
    const added = await sdk.storedFile(store, LEAVE, { chapter: 1 });

    const attributes = { title: "Leave" };
    const updated = await sdk.ofStoreFile("update", store.id, added.id, { attributes });

    has(updated, { id: added.id, attributes, status: "completed" });
    equal(await sdk.ofStoreFile("retrieve", store.id, added.id), updated);
  },

  async content(sdk) {
    const added = await sdk.leave();

    const found = await everyOne(sdk.ofStoreFile("content", added.vector_store_id, added.id));

    equal(found, [{ type: "text", text: LEAVE }]);
  },

  async delete(sdk) {
    const store = await sdk.store();
    const added = await sdk.storedFile(store);

    const removed = await sdk.ofStoreFile(sdk.deleting, store.id, added.id);

    has(removed, { id: added.id, object: "vector_store.file.deleted", deleted: true });
    isPageOf(await sdk.vectorStores.files.list(store.id), [], false);
    equal((await sdk.files.retrieve(added.id)).id, added.id);
  },
};
