// The API key of this tab. Session storage ends with the tab and is not shared with others.
const NAME = "holdfast-api-key";

/** Says `needed` when the server wants a key, and `changed` when there is another one. */
export const keyEvents = new EventTarget();

export const apiKey = () => sessionStorage.getItem(NAME);

export function setApiKey(key) {
  if (key) sessionStorage.setItem(NAME, key);
  else sessionStorage.removeItem(NAME);
  keyEvents.dispatchEvent(new Event("changed"));
}

export const askForKey = () => keyEvents.dispatchEvent(new Event("needed"));

export const authorization = () => (apiKey() ? { authorization: `Bearer ${apiKey()}` } : {});
