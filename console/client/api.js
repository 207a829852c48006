// Requests to the API, as any program makes them. A request that got no answer is repeated until there is one.
import { setLost } from "./connection.js";
import { askForKey, authorization } from "./key.js";

const BASE = new URL("./v1", document.baseURI).href;
const PAUSE_MS = 1000;
const TRIES = 60;
// A proxy's words for a server that is away.
const AWAY = [502, 503, 504];

export class ApiError extends Error {
  constructor(status, { message, code }) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const url = (path) => BASE + path;
export const headers = () => ({ "OpenAI-Beta": "assistants=v2", ...authorization() });
/** A name for one effect: the server does the request once, however often it arrives. */
export const idempotencyKey = () => ({ "idempotency-key": Array.from(crypto.getRandomValues(new Uint32Array(4))).join("-") });

export const get = async (path) => (await request("GET", path)).json();
export const post = async (path, body = {}) => (await request("POST", path, body)).json();
export const remove = async (path) => (await request("DELETE", path)).json();
export const download = async (path) => (await request("GET", path)).blob();

/** The items of all pages of a list. */
export async function all(path, after = "") {
  const page = await get(`${path}${path.includes("?") ? "&" : "?"}limit=100${after && `&after=${after}`}`);
  return page.has_more ? [...page.data, ...(await all(path, page.last_id ?? page.data.at(-1).id))] : page.data;
}

/** Raises `ApiError` for an answer that says so. */
export async function failureOf(answer) {
  if (answer.status === 401) askForKey();
  const said = await answer.json().catch(() => ({}));
  return new ApiError(answer.status, said.error ?? { message: `The server answered with ${answer.status}.` });
}

async function request(method, path, body) {
  const json = method === "POST" && { "content-type": "application/json", ...idempotencyKey() };
  const sent = { method, headers: { ...headers(), ...json }, body: body && JSON.stringify(body) };
  for (let tried = 1; ; tried++) {
    const answer = await fetch(url(path), sent).catch(() => null);
    const away = !answer || AWAY.includes(answer.status);
    setLost(away);
    if (answer?.ok) return answer;
    // The first answer was lost, and it was a yes.
    if (answer?.status === 404 && method === "DELETE" && tried > 1) return answer;
    if (answer && (!away || tried === TRIES)) throw await failureOf(answer);
    if (tried === TRIES) throw new ApiError(0, { message: "The server does not answer." });
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
