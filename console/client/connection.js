// Whether the server can be reached, as the last request or stream found it.
export const connectionEvents = new EventTarget();

let lost = false;

export const isLost = () => lost;

export function setLost(value) {
  if (value === lost) return;
  lost = value;
  connectionEvents.dispatchEvent(new Event("changed"));
}
