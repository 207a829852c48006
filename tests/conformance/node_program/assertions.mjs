// Assertions of the scenarios.

import assert from "node:assert/strict";

export const { deepEqual: equal, ok } = assert;

/** The answer has these fields with just these values. */
export function has(answer, fields) {
  const found = Object.fromEntries(Object.keys(fields).map((name) => [name, answer[name]]));
  assert.deepEqual(found, fields);
}

export function hasId(answer, prefix) {
  assert.match(answer.id, new RegExp(`^${prefix}_[A-Za-z0-9]{24}$`));
}

export function hasFileId(answer) {
  assert.match(answer.id, /^file-[A-Za-z0-9]{24}$/);
}

export function hasDatedId(answer, prefix) {
  assert.match(answer.id, new RegExp(`^${prefix}_[0-9a-f]{32}$`));
}

/** The page contains these items in this order, and names its first and last. */
export function isPageOf(page, items, hasMore) {
  assert.deepEqual(idsOf(page.data), idsOf(items));
  const sent = page.body ?? page;
  assert.deepEqual(
    { object: sent.object, first_id: sent.first_id, last_id: sent.last_id, has_more: page.has_more },
    { object: "list", first_id: items.at(0)?.id ?? null, last_id: items.at(-1)?.id ?? null, has_more: hasMore },
  );
}

export function idsOf(items) {
  return items.map((item) => item.id);
}

/** Everything that the SDK's own iteration over pages finds. */
export async function everyOne(pages) {
  const found = [];
  for await (const item of pages) found.push(item);
  return found;
}

/** One after another, so that they are in order. */
export async function repeated(count, create) {
  const created = [];
  for (let index = 0; index < count; index += 1) created.push(await create(index));
  return created;
}

/** The call raises just this class, with just this error in the envelope. */
export async function refused(call, errorClass, message, { param = null, code = null } = {}) {
  const error = await call().then(
    () => assert.fail(`was not refused, expected ${errorClass.name}: ${message}`),
    (raised) => raised,
  );
  if (!error.error) throw error;
  assert.deepEqual(
    { class: error.constructor.name, ...error.error },
    { class: errorClass.name, message, type: "invalid_request_error", param, code },
  );
  assert.deepEqual([error.code, error.param, error.type], [code, param, "invalid_request_error"]);
}
