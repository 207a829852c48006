// Keeps every answer that the SDK gets and lets the TypeScript compiler hold each against the SDK's own type of it.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const TYPES = [
  ["POST", "/assistants", "OpenAI.Beta.Assistant"],
  ["GET", "/assistants", "CursorPageResponse<OpenAI.Beta.Assistant>"],
  ["GET", "/assistants/*", "OpenAI.Beta.Assistant"],
  ["POST", "/assistants/*", "OpenAI.Beta.Assistant"],
  ["DELETE", "/assistants/*", "OpenAI.Beta.AssistantDeleted"],
  ["POST", "/threads", "OpenAI.Beta.Thread"],
  ["POST", "/threads/runs", "OpenAI.Beta.Threads.Run"],
  ["GET", "/threads/*", "OpenAI.Beta.Thread"],
  ["POST", "/threads/*", "OpenAI.Beta.Thread"],
  ["DELETE", "/threads/*", "OpenAI.Beta.ThreadDeleted"],
  ["POST", "/threads/*/messages", "OpenAI.Beta.Threads.Message"],
  ["GET", "/threads/*/messages", "CursorPageResponse<OpenAI.Beta.Threads.Message>"],
  ["GET", "/threads/*/messages/*", "OpenAI.Beta.Threads.Message"],
  ["POST", "/threads/*/messages/*", "OpenAI.Beta.Threads.Message"],
  ["DELETE", "/threads/*/messages/*", "OpenAI.Beta.Threads.MessageDeleted"],
  ["POST", "/threads/*/runs", "OpenAI.Beta.Threads.Run"],
  ["GET", "/threads/*/runs", "CursorPageResponse<OpenAI.Beta.Threads.Run>"],
  ["GET", "/threads/*/runs/*", "OpenAI.Beta.Threads.Run"],
  ["POST", "/threads/*/runs/*", "OpenAI.Beta.Threads.Run"],
  ["POST", "/threads/*/runs/*/cancel", "OpenAI.Beta.Threads.Run"],
  ["POST", "/threads/*/runs/*/submit_tool_outputs", "OpenAI.Beta.Threads.Run"],
  ["GET", "/threads/*/runs/*/steps", "CursorPageResponse<OpenAI.Beta.Threads.Runs.RunStep>"],
  ["GET", "/threads/*/runs/*/steps/*", "OpenAI.Beta.Threads.Runs.RunStep"],
  ["POST", "/files", "SentFile"],
  ["GET", "/files", "CursorPageResponse<SentFile>"],
  ["GET", "/files/*", "SentFile"],
  ["DELETE", "/files/*", "OpenAI.FileDeleted"],
  ["POST", "/uploads", "SentUpload"],
  ["POST", "/uploads/*/parts", "OpenAI.Uploads.UploadPart"],
  ["POST", "/uploads/*/complete", "SentUpload"],
  ["POST", "/uploads/*/cancel", "SentUpload"],
  ["POST", "/vector_stores", "SentStore"],
  ["GET", "/vector_stores", "CursorPageResponse<SentStore>"],
  ["GET", "/vector_stores/*", "SentStore"],
  ["POST", "/vector_stores/*", "SentStore"],
  ["DELETE", "/vector_stores/*", "OpenAI.VectorStoreDeleted"],
  ["POST", "/vector_stores/*/search", "PageResponse<OpenAI.VectorStoreSearchResponse>"],
  ["POST", "/vector_stores/*/files", "OpenAI.VectorStores.VectorStoreFile"],
  ["GET", "/vector_stores/*/files", "CursorPageResponse<OpenAI.VectorStores.VectorStoreFile>"],
  ["GET", "/vector_stores/*/files/*", "OpenAI.VectorStores.VectorStoreFile"],
  ["POST", "/vector_stores/*/files/*", "OpenAI.VectorStores.VectorStoreFile"],
  ["DELETE", "/vector_stores/*/files/*", "OpenAI.VectorStores.VectorStoreFileDeleted"],
  ["GET", "/vector_stores/*/files/*/content", "PageResponse<OpenAI.VectorStores.FileContentResponse>"],
  ["POST", "/vector_stores/*/file_batches", "SentBatch"],
  ["GET", "/vector_stores/*/file_batches/*", "SentBatch"],
  ["POST", "/vector_stores/*/file_batches/*/cancel", "SentBatch"],
  ["GET", "/vector_stores/*/file_batches/*/files", "CursorPageResponse<OpenAI.VectorStores.VectorStoreFile>"],
  ["GET", "/models", "PageResponse<OpenAI.Model>"],
  ["GET", "/models/**", "OpenAI.Model"],
].map(([method, route, type]) => ({ method, pattern: patternOf(route), type }));

// The answers are constants, whose literals keep their own types; so they are compared with read-only versions of the types.
const HEAD = [
  'import type OpenAI from "openai";',
  'import type { CursorPageResponse, PageResponse } from "openai/pagination";',
  "type Constant<T> = T extends object ? { readonly [Key in keyof T]: Constant<T[Key]> } : T;",
  // OpenAI itself sends null where its types have no value, and another `object` of batches than they say.
  "type OrNull<T, Key extends keyof T> = Omit<T, Key> & { [K in Key]?: T[K] | null };",
  'type SentFile = OrNull<OpenAI.FileObject, "expires_at" | "status_details">;',
  'type SentUpload = Omit<OpenAI.Upload, "file"> & { file?: SentFile };',
  'type SentStore = OrNull<OpenAI.VectorStore, "expires_after" | "name">;',
  'type SentBatch = Omit<OpenAI.VectorStores.VectorStoreFileBatch, "object"> & { object: "vector_store.file_batch" };',
];
const OPTIONS = "--noEmit --strict --skipLibCheck --target es2022 --module nodenext --pretty false".split(" ");

export class Answers {
  operation = null;
  #checks = [];
  #untyped = [];
  #streams = [];

  constructor(url) {
    this.base = new URL(url).pathname;
  }

  /** To be given to the SDK as its `fetch`. Charges every answer to the current `operation`. */
  fetch = async (url, options) => {
    // Releases before 5.0 send forms as streams, for which `fetch` requires `duplex`.
    const response = await fetch(url, { duplex: "half", ...options });
    await this.#keep(options.method.toUpperCase(), new URL(url).pathname, response.clone());
    return response;
  };

  async #keep(method, pathname, response) {
    if (!/^req_[0-9a-f]{32}$/.test(response.headers.get("x-request-id"))) {
      this.#untyped.push([this.operation, `${method} ${pathname}: x-request-id is not as it was`]);
    }
    // Refusals and bytes have no type; the scenarios check them whole.
    if (!response.ok || response.headers.get("content-type") === "application/octet-stream") return;
    if (response.headers.get("content-type").startsWith("text/event-stream")) {
      this.#streams.push(this.#keepEvents(this.operation, response));
      return;
    }
    const route = pathname.slice(this.base.length);
    const known = TYPES.find((each) => each.method === method && each.pattern.test(route));
    if (known) this.#checks.push({ operation: this.operation, type: known.type, json: await response.text() });
    else this.#untyped.push([this.operation, `${method} ${pathname} has no type in answers.mjs`]);
  }

  /** Read a stream beside the SDK, which must not wait for its end. */
  async #keepEvents(operation, response) {
    const blocks = (await textUntilAborted(response)).split("\n\n");
    for (const block of blocks.filter((each) => each.startsWith("event: thread."))) {
      const [event, data] = block.split("\n");
      const json = `{"event": "${event.slice("event: ".length)}", "data": ${data.slice("data: ".length)}}`;
      this.#checks.push({ operation, type: "OpenAI.Beta.AssistantStreamEvent", json });
    }
    return blocks.filter((block) => block === ": keepalive").length;
  }

  /** The number of keepalives in the last stream, once it has ended. */
  keepalivesOfLastStream() {
    return this.#streams.at(-1);
  }

  /** Violations in the answers, as pairs of operation and violation. `modules` has the SDK and the compiler. */
  async violations(modules) {
    await Promise.all(this.#streams);
    const folder = mkdtempSync(path.join(modules, "answers-"));
    try {
      const file = path.join(folder, "answers.ts");
      writeFileSync(file, [...HEAD, ...this.#checks.map(statementOf)].join("\n"));
      const compiled = compile(modules, file).map(({ line, message }) => {
        const { operation, type } = this.#checks[line - 1 - HEAD.length];
        return [operation, `${type}: ${message}`];
      });
      return [...this.#untyped, ...compiled];
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
}

async function textUntilAborted(response) {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of response.body) text += decoder.decode(chunk, { stream: true });
  } catch (error) {
    // The SDK hangs up once it has read an error.
    if (error.name !== "AbortError") throw error;
  }
  return text;
}

// By name: an object literal could have no field that the type does not know.
function statementOf({ type, json }) {
  return `{ const answer = ${json} as const; answer satisfies Constant<${type}>; }`;
}

function patternOf(route) {
  const source = route.replace("**", ".+").replaceAll("*", "[^/]+");
  return new RegExp(`^${source}$`);
}

function compile(modules, file) {
  const compiler = path.join(modules, "node_modules", "typescript", "bin", "tsc");
  const { status, stdout } = spawnSync(process.execPath, [compiler, ...OPTIONS, file], { encoding: "utf8" });
  const errors = [];
  for (const text of stdout.split("\n").filter(Boolean)) {
    const found = /answers\.ts\((\d+),\d+\): error TS\d+: (.*)$/.exec(text);
    if (found) errors.push({ line: Number(found[1]), lines: [found[2]] });
    else errors.at(-1)?.lines.push(text.trim());
  }
  // An error before the answers, or none at all: the compiler did not check them.
  if (errors.some(({ line }) => line <= HEAD.length) || (status !== 0 && !errors.length)) throw new Error(stdout);
  // The first line names both types whole; those beneath it say where they differ.
  return errors.map(({ line, lines }) => ({ line, message: (lines.length > 1 ? lines.slice(1) : lines).join(" ") }));
}
