// Files: upload, list, read, download, delete.

import { equal, everyOne, has, hasFileId, idsOf, repeated } from "./assertions.mjs";

const tuningFile = async (sdk, content) =>
  sdk.files.create({ file: await sdk.OpenAI.toFile(content, "a.jsonl"), purpose: "fine-tune" });

export const files = {
  async create(sdk) {
    const content = await sdk.OpenAI.toFile(Buffer.from("# Leave\n"), "leave.md");
    const file = await sdk.files.create({ file: content, purpose: "assistants" });

    hasFileId(file);
    has(file, { object: "file", purpose: "assistants", filename: "leave.md", bytes: 8, status: "processed" });
  },

  async retrieve(sdk) {
    const created = await sdk.file();

    equal(await sdk.files.retrieve(created.id), created);
  },

  async list(sdk) {
    const tuning = await tuningFile(sdk, Buffer.from("{}\n"));
    const [first, second] = await repeated(2, () => sdk.file());

    const found = await sdk.files.list({ purpose: "assistants" });

    equal(found.data.slice(0, 2), [second, first]);
    equal(idsOf((await sdk.files.list({ purpose: "fine-tune" })).data).includes(tuning.id), true);
    equal(idsOf(found.data).includes(tuning.id), false);
  },

  async list_every_page(sdk) {
    const [first, ...others] = await repeated(6, () => sdk.file());

    const found = await everyOne(sdk.files.list({ limit: 2, order: "asc", after: first.id }));

    equal(idsOf(found), idsOf(others));
  },

  async content(sdk) {
    const sent = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
    const created = await tuningFile(sdk, sent);

    const response = await sdk.files.content(created.id);

    equal(Buffer.from(await response.arrayBuffer()), sent);
  },

  async delete(sdk) {
    const created = await sdk.file();

    has(await sdk.deleteOne(sdk.files, created.id), { id: created.id, object: "file", deleted: true });

    equal(idsOf((await sdk.files.list()).data).includes(created.id), false);
  },
};
