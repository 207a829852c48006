import { useEffect } from "preact/hooks";

/** Calls `listener` for each event `name` of `target`. */
export function useEvent(target, name, listener) {
  useEffect(() => {
    target.addEventListener(name, listener);
    return () => target.removeEventListener(name, listener);
  }, []);
}
