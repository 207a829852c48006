// Vector stores: create, list, read, change, delete, search.

import { equal, everyOne, has, hasDatedId, idsOf, isPageOf, ok, repeated } from "./assertions.mjs";
import { LEAVE } from "./sdk.mjs";

const NO_FILES = { in_progress: 0, completed: 0, failed: 0, cancelled: 0, total: 0 };

export const vectorStores = {
  async create(sdk) {
    const fields = { name: "Handbook", metadata: { team: "north" }, expires_after: { anchor: "last_active_at", days: 2 } };

    const store = await sdk.vectorStores.create(fields);

    hasDatedId(store, "vs");
    has(store, { ...fields, object: "vector_store", status: "completed", usage_bytes: 0, file_counts: NO_FILES });
    has(store, { expires_at: store.last_active_at + 2 * 86_400 });
  },

  async create_with_files(sdk) {
    const file = await sdk.file();

    const store = await sdk.vectorStores.create({ name: "Handbook", file_ids: [file.id] });

    has(store, { status: "in_progress", file_counts: { ...NO_FILES, in_progress: 1, total: 1 } });
    await sdk.pollStoreFile(store.id, file.id);
    const completed = await sdk.vectorStores.retrieve(store.id);
    has(completed, { status: "completed", file_counts: { ...NO_FILES, completed: 1, total: 1 } });
    ok(completed.usage_bytes > 0);
  },

  async retrieve(sdk) {
    const created = await sdk.store();

    equal(await sdk.vectorStores.retrieve(created.id), created);
  },

  async update(sdk) {
    const created = await sdk.vectorStores.create({ name: "Handbook", metadata: { team: "north" } });

    const changes = { name: "Rules", metadata: { team: "south" } };
    const updated = await sdk.vectorStores.update(created.id, changes);

    has(updated, { ...changes, id: created.id, expires_after: null });
    equal(await sdk.vectorStores.retrieve(created.id), updated);
  },

  async list(sdk) {
    const [first, second, third] = await repeated(3, () => sdk.store());

    isPageOf(await sdk.vectorStores.list({ limit: 2 }), [third, second], true);
    isPageOf(await sdk.vectorStores.list({ order: "asc", after: first.id }), [second, third], false);
    isPageOf(await sdk.vectorStores.list({ limit: 1, before: second.id }), [third], false);
  },

  async list_every_page(sdk) {
    const [first, ...others] = await repeated(6, () => sdk.store());

    const found = await everyOne(sdk.vectorStores.list({ limit: 2, order: "asc", after: first.id }));

    equal(idsOf(found), idsOf(others));
  },

  async search(sdk) {
    const [leave, parts] = await sdk.chapters();

    const found = await everyOne(sdk.vectorStores.search(leave.vector_store_id, { query: "How much holiday do I have?" }));

    equal(found.map((result) => result.file_id), [leave.id, parts.id]);
    has(found[0], { filename: "page.md", attributes: { chapter: 1, draft: false } });
    has(found[0], { content: [{ type: "text", text: LEAVE }] });
    ok(1 >= found[0].score && found[0].score > found[1].score && found[1].score >= 0);
  },

  async search_with_filter(sdk) {
    const [leave] = await sdk.chapters();

    const found = await sdk.vectorStores.search(leave.vector_store_id, {
      query: ["AX-4410/B", "Which part?"],
      max_num_results: 5,
      filters: { type: "and", filters: [{ type: "lt", key: "chapter", value: 2 }] },
      ranking_options: { ranker: "auto", score_threshold: 0 },
    });

    equal(found.data.map((result) => result.file_id), [leave.id]);
  },

  async delete(sdk) {
    const created = await sdk.store();

    const deleted = await sdk.deleteOne(sdk.vectorStores, created.id);

    has(deleted, { id: created.id, object: "vector_store.deleted", deleted: true });
    equal(idsOf((await sdk.vectorStores.list({ limit: 100 })).data).includes(created.id), false);
  },
};
