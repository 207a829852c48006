// Batches of files that are added to a vector store together.

import { equal, has, hasDatedId, isPageOf } from "./assertions.mjs";

// Its ingestion takes longer than a request.
const LONG = Array.from({ length: 5000 }, (_, day) => `On day ${day} the office in street ${day * 7} is closed.`).join("\n");

export const fileBatches = {
  async create(sdk) {
    const [store, file] = [await sdk.store(), await sdk.file()];

    const batch = await sdk.vectorStores.fileBatches.create(store.id, { file_ids: [file.id] });

    hasDatedId(batch, "vsfb");
    has(batch, { object: "vector_store.file_batch", vector_store_id: store.id, status: "in_progress" });
    has(batch, { file_counts: { in_progress: 1, completed: 0, failed: 0, cancelled: 0, total: 1 } });
  },

  async create_and_poll(sdk) {
    const batch = await sdk.completedBatch();

    has(batch, { status: "completed" });
    has(batch, { file_counts: { in_progress: 0, completed: 2, failed: 0, cancelled: 0, total: 2 } });
  },

  async retrieve(sdk) {
    const batch = await sdk.completedBatch();

    equal(await sdk.ofBatch("retrieve", batch), batch);
  },

  async list_files(sdk) {
    const batch = await sdk.completedBatch();
    const storeId = batch.vector_store_id;
    const [first, second] = (await sdk.vectorStores.files.list(storeId, { order: "asc" })).data;
    await sdk.vectorStores.files.create(storeId, { file_id: (await sdk.file()).id });

    isPageOf(await sdk.ofBatch("listFiles", batch, { order: "asc", filter: "completed" }), [first, second], false);
    isPageOf(await sdk.ofBatch("listFiles", batch, { limit: 1 }), [second], true);
  },

  async cancel(sdk) {
    const [store, file] = [await sdk.store(), await sdk.file(LONG)];
    const batch = await sdk.vectorStores.fileBatches.create(store.id, { file_ids: [file.id] });

    has(await sdk.ofBatch("cancel", batch), { id: batch.id, status: "cancelled" });
  },
};
