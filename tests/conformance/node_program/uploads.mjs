// Uploads: create, add parts, complete, cancel.

import { equal, has, hasDatedId, hasFileId } from "./assertions.mjs";

const uploadOf = (sdk, size) =>
  sdk.uploads.create({ filename: "leave.md", purpose: "assistants", bytes: size, mime_type: "text/markdown" });

const added = async (sdk, upload, text) =>
  sdk.uploads.parts.create(upload.id, { data: await sdk.OpenAI.toFile(Buffer.from(text), "part") });

export const uploads = {
  async create(sdk) {
    const upload = await uploadOf(sdk, 10);

    hasDatedId(upload, "upload");
    has(upload, { object: "upload", bytes: 10, filename: "leave.md", purpose: "assistants", status: "pending" });
    equal("file" in upload, false);
  },

  async add_part(sdk) {
    const upload = await uploadOf(sdk, 10);

    const part = await added(sdk, upload, "0123456789");

    hasDatedId(part, "part");
    has(part, { object: "upload.part", upload_id: upload.id });
  },

  async complete(sdk) {
    const upload = await uploadOf(sdk, 10);
    const last = await added(sdk, upload, "6789");
    const first = await added(sdk, upload, "012345");

    const body = { part_ids: [first.id, last.id], md5: "781e5e245d69b566979b86e28d23f2c7" };
    const completed = await sdk.uploads.complete(upload.id, body);

    has(completed, { id: upload.id, status: "completed" });
    hasFileId(completed.file);
    has(completed.file, { object: "file", bytes: 10, filename: "leave.md", purpose: "assistants" });
    equal(await sdk.files.retrieve(completed.file.id), completed.file);
  },

  async cancel(sdk) {
    const upload = await uploadOf(sdk, 10);

    has(await sdk.uploads.cancel(upload.id), { id: upload.id, object: "upload", status: "cancelled" });
  },
};
