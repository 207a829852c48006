// Tries every operation with one release of the SDK. Arguments: the folder that has it, the server's URL, an API key.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { Answers } from "./answers.mjs";
import { assistants } from "./assistants.mjs";
import { attachments } from "./attachments.mjs";
import { errors } from "./errors.mjs";
import { fileBatches } from "./file_batches.mjs";
import { files } from "./files.mjs";
import { messages } from "./messages.mjs";
import { models } from "./models.mjs";
import { runSteps } from "./run_steps.mjs";
import { runs } from "./runs.mjs";
import { Sdk } from "./sdk.mjs";
import { streams } from "./streams.mjs";
import { threads } from "./threads.mjs";
import { toolResources } from "./tool_resources.mjs";
import { uploads } from "./uploads.mjs";
import { vectorStoreFiles } from "./vector_store_files.mjs";
import { vectorStores } from "./vector_stores.mjs";

const SCENARIOS = {
  assistants,
  threads,
  messages,
  runs,
  run_steps: runSteps,
  streams,
  files,
  uploads,
  vector_stores: vectorStores,
  vector_store_files: vectorStoreFiles,
  file_batches: fileBatches,
  attachments,
  tool_resources: toolResources,
  models,
  errors,
};

const [modules, url, apiKey] = process.argv.slice(2);
const { OpenAI } = createRequire(path.join(modules, "package.json"))("openai");
const { version } = JSON.parse(readFileSync(path.join(modules, "node_modules", "openai", "package.json")));

const answers = new Answers(url);
// No retries: an operation that succeeds only the second time does not conform.
const options = { baseURL: url, apiKey, maxRetries: 0, timeout: 30_000, fetch: answers.fetch };
const sdk = new Sdk(OpenAI, Number.parseInt(version, 10), options, answers);

const problems = new Map();
for (const [noun, scenarios] of Object.entries(SCENARIOS)) {
  for (const [name, scenario] of Object.entries(scenarios)) {
    answers.operation = `${noun}.${name}`;
    problems.set(answers.operation, await problemsOf(scenario));
  }
}
for (const [operation, violation] of await answers.violations(modules)) {
  problems.get(operation).unshift(violation);
}
for (const [operation, found] of problems) {
  const problem = [...new Set(found)].join("; ") || null;
  process.stdout.write(`${JSON.stringify({ operation, problem })}\n`);
}

async function problemsOf(scenario) {
  try {
    await scenario(sdk);
    return [];
  } catch (error) {
    return [`${placeOf(error)}: ${error.name}: ${error.message}`];
  }
}

/** The line of the scenario that failed, not the assertion's or the SDK's own. */
function placeOf(error) {
  const file = Object.keys(SCENARIOS).join("|");
  return new RegExp(`node_program/((?:${file})\\.mjs:\\d+)`).exec(error.stack)?.[1] ?? "elsewhere";
}
