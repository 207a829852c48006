// An assistant while it is edited, and the request that saves it. Pure.

export const draftOf = (assistant) => ({
  name: assistant?.name ?? "",
  model: assistant?.model ?? "",
  instructions: assistant?.instructions ?? "",
  tools: (assistant?.tools ?? []).map((tool) => tool.type).filter((type) => type !== "function"),
  functions: written((assistant?.tools ?? []).filter((tool) => tool.type === "function").map((tool) => tool.function)),
  metadata: { ...assistant?.metadata },
  storeId: assistant?.tool_resources.file_search?.vector_store_ids[0] ?? "",
  codeFileIds: assistant?.tool_resources.code_interpreter?.file_ids ?? [],
  searchFiles: [],
  codeFiles: [],
});

/** Raises `Error` for functions that are not in their form. */
export function requestOf(draft, assistant, { storeId, codeFileIds }) {
  const has = (type) => draft.tools.includes(type);
  // Options that this form does not show stay as they are.
  const kept = (type) => assistant?.tools.find((tool) => tool.type === type) ?? { type };
  return {
    name: draft.name || null,
    model: draft.model,
    instructions: draft.instructions || null,
    tools: [...draft.tools.map(kept), ...functions(draft).map((each) => ({ type: "function", function: each }))],
    metadata: Object.fromEntries(Object.entries(draft.metadata).filter(([, value]) => value)),
    tool_resources: {
      ...(has("file_search") && storeId && { file_search: { vector_store_ids: [storeId] } }),
      ...(has("code_interpreter") && { code_interpreter: { file_ids: codeFileIds } }),
    },
  };
}

export function functionNames(draft) {
  try {
    return functions(draft).map((each) => each.name).filter(Boolean);
  } catch {
    return [];
  }
}

function functions({ functions: text }) {
  if (!text.trim()) return [];
  const list = parsed(text);
  if (!Array.isArray(list)) throw new Error("The functions must be a JSON list: [{\"name\": …}]");
  return list;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`The functions are not valid JSON: ${error.message}`);
  }
}

const written = (list) => (list.length ? JSON.stringify(list, null, 2) : "");
