// A list of the API, page by page.
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../client/api.js";

const PAGE = 30;

/** The items at `path`, newest first, `more` if there are further ones; with `refreshMs`, read again and again. */
export function useList(path, refreshMs) {
  const [page, setPage] = useState({ items: null, hasMore: false });
  const [failure, setFailure] = useState(null);
  const size = useRef(PAGE), current = useRef(path), isReading = useRef(false);
  current.current = path;

  async function reload() {
    isReading.current = true;
    try {
      const next = await read(path, size.current);
      if (current.current !== path) return;
      setPage(next);
      setFailure(null);
    } catch (error) {
      if (current.current === path) setFailure(error);
    } finally {
      isReading.current = false;
    }
  }

  useEffect(() => { size.current = PAGE; setPage({ items: null, hasMore: false }); reload(); }, [path]);
  useEffect(() => {
    if (!refreshMs) return undefined;
    // A server that is away is asked by one request alone.
    const refresh = () => document.visibilityState === "visible" && !isReading.current && reload();
    const timer = setInterval(refresh, refreshMs);
    return () => clearInterval(timer);
  }, [path, refreshMs]);
  const more = () => { size.current += PAGE; return reload(); };
  return { ...page, failure, reload, more };
}

async function read(path, size) {
  const items = [];
  for (let after = ""; ; after = `&after=${encodeURIComponent(items.at(-1).id)}`) {
    const page = await get(`${path}${path.includes("?") ? "&" : "?"}limit=${Math.min(100, size - items.length)}${after}`);
    items.push(...page.data);
    if (!page.has_more || items.length >= size) return { items, hasMore: page.has_more };
  }
}
