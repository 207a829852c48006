// Tool resources of assistants and threads: vector stores by id, and stores that are created with their owner.

import { equal } from "./assertions.mjs";
import { MODEL } from "./sdk.mjs";

const SEARCH = { type: "file_search" };

const byId = (store) => ({ file_search: { vector_store_ids: [store.id] } });
const withStore = (file) => ({ file_search: { vector_stores: [{ file_ids: [file.id] }] } });
const storeIds = (owner) => owner.tool_resources.file_search.vector_store_ids;

export const toolResources = {
  async of_assistant(sdk) {
    const [first, second] = [await sdk.store(), await sdk.store()];

    const fields = { model: MODEL, tools: [SEARCH], tool_resources: byId(first) };
    const created = await sdk.assistants.create(fields);
    const changed = await sdk.assistants.update(created.id, { tool_resources: byId(second) });

    equal(storeIds(created), [first.id]);
    equal(storeIds(changed), [second.id]);
  },

  async store_of_new_assistant(sdk) {
    const file = await sdk.file();

    const fields = { model: MODEL, tools: [SEARCH], tool_resources: withStore(file) };
    const assistant = await sdk.assistants.create(fields);

    const page = await sdk.vectorStores.files.list(storeIds(assistant)[0]);
    equal(page.data.map((each) => each.id), [file.id]);
  },

  async of_thread(sdk) {
    const [first, second] = [await sdk.store(), await sdk.store()];

    const created = await sdk.threads.create({ tool_resources: byId(first) });
    const changed = await sdk.threads.update(created.id, { tool_resources: byId(second) });

    equal(storeIds(created), [first.id]);
    equal(storeIds(changed), [second.id]);
  },

  async store_of_new_thread(sdk) {
    const file = await sdk.file();

    const thread = await sdk.threads.create({ tool_resources: withStore(file) });

    const store = await sdk.vectorStores.retrieve(storeIds(thread)[0]);
    equal([store.name, store.file_counts.total, store.expires_after.days], [null, 1, 7]);
  },
};
