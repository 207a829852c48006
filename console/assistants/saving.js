import { post } from "../client/api.js";
import { requestOf } from "./draft.js";

/** Uploads the files of the draft, then saves it. `send` is that of `useUploads`. Raises `Error` for what is not right. */
export async function save(draft, assistant, send) {
  // Checked before anything is uploaded.
  requestOf(draft, assistant, draft);
  const storeId = await storeOf(draft, send);
  const made = await all(draft.codeFiles, send);
  const body = requestOf(draft, assistant, { storeId, codeFileIds: [...draft.codeFileIds, ...made.map((file) => file.id)] });
  return post(assistant ? `/assistants/${assistant.id}` : "/assistants", body);
}

async function storeOf(draft, send) {
  if (!draft.searchFiles.length) return draft.storeId;
  const file_ids = (await all(draft.searchFiles, send)).map((file) => file.id);
  if (draft.storeId) {
    await post(`/vector_stores/${draft.storeId}/file_batches`, { file_ids });
    return draft.storeId;
  }
  return (await post("/vector_stores", { name: `Files of ${draft.name || "an assistant"}`, file_ids })).id;
}

async function all(files, send) {
  const arrived = await send(files, "assistants");
  if (arrived.length < files.length) throw new Error("A file could not be uploaded: choose other files, and save again.");
  return arrived;
}
