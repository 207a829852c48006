// Deltas as OpenAI's streams have them: texts are appended, lists are joined by `index`, the rest is replaced.
const REPLACED = ["id", "type", "index", "object"];

/** `was` and what `delta` adds to it; neither is changed. */
export function accumulate(was, delta) {
  if (was === undefined || was === null) return Array.isArray(delta) ? joined([], delta) : isObject(delta) ? fields({}, delta) : delta;
  if (typeof was === "string" && typeof delta === "string") return was + delta;
  if (Array.isArray(was) && Array.isArray(delta)) return joined(was, delta);
  if (isObject(was) && isObject(delta)) return fields(was, delta);
  return delta ?? was;
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function fields(was, delta) {
  const next = { ...was };
  for (const [name, value] of Object.entries(delta)) {
    if (name === "__proto__") continue;
    next[name] = REPLACED.includes(name) ? value : accumulate(next[name], value);
  }
  return next;
}

function joined(was, delta) {
  const next = [...was];
  for (const item of delta) {
    const index = item?.index;
    if (Number.isInteger(index) && index >= 0 && index <= next.length) next[index] = accumulate(next[index], item);
    else next.push(item);
  }
  return next;
}
