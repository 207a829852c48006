// The view that the address names: what stands behind its `#`.
import { useEffect, useState } from "preact/hooks";

const read = () => location.hash.slice(1).split("/").filter(Boolean);

export const go = (path) => { location.hash = path; };

/** The parts of the address, as in `["chat", "thread_…"]`. */
export function useRoute() {
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const changed = () => setRoute(read());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}
