// A thread as the page shows it: what the server has, and what the events of its active run add.
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../client/api.js";
import { follow } from "../client/follow.js";
import { blocksOf } from "./blocks.js";
import { newRun, storedRun, withEvent } from "./run_entries.js";

const PAGE = 40;
// Events are shown some times a second, however fast they come.
const PAINT_MS = 40;
const ACTIVE = ["queued", "in_progress", "requires_action", "cancelling"];
const CONTENT = "include[]=step_details.tool_calls[*].file_search.results[*].content";

export const isActive = (run) => ACTIVE.includes(run?.status);

/** `shown` is null until the thread is there; `reload` reads it anew. */
export function useConversation(threadId) {
  const [shown, setShown] = useState(null);
  const [failure, setFailure] = useState(null);
  const size = useRef(PAGE), current = useRef(0), stop = useRef(() => {});

  async function reload() {
    const load = ++current.current;
    try {
      const next = threadId ? await loaded(threadId, size.current) : { blocks: [], hasEarlier: false };
      if (load !== current.current) return;
      stop.current();
      setShown(next);
      setFailure(null);
      if (next.active) stop.current = followed(next.active, (change) => setShown((was) => withRun(was, change)), reload);
    } catch (error) {
      if (load === current.current) setFailure(error);
    }
  }

  useEffect(() => {
    size.current = PAGE;
    setShown(null);
    reload();
    return () => { current.current++; stop.current(); };
  }, [threadId]);
  useReturn(() => !shown?.active && reload());

  const loadEarlier = () => { size.current += PAGE; return reload(); };
  return { shown, failure, reload, loadEarlier };
}

async function loaded(threadId, size) {
  // Runs first: of one that ends meanwhile the messages have the answer, or its events tell it.
  const runs = await newest(`/threads/${threadId}/runs`, size);
  const messages = await newest(`/threads/${threadId}/messages`, size);
  const byId = new Map(messages.items.map((message) => [message.id, message]));
  const active = runs.items.find(isActive);
  // The events of the active run tell all of it, from the first.
  const others = messages.items.filter((message) => !active || message.run_id !== active.id);
  const blocks = blocksOf(others, runs.items.filter((run) => belongs(run, messages)));
  const filled = blocks.map(async (block) => {
    if (!block.run) return block;
    if (isActive(block.run)) return newRun(block.run);
    return storedRun(block.run, await steps(block.run), byId);
  });
  return { blocks: await Promise.all(filled), hasEarlier: messages.hasMore, active };
}

/** Whether the run is among the messages that are shown, and not before them. */
const belongs = (run, { items, hasMore }) => !hasMore || run.created_at >= items[0].created_at;

async function newest(path, size) {
  const found = [];
  for (let after = ""; ; after = `&after=${found.at(-1).id}`) {
    const page = await get(`${path}?order=desc&limit=${Math.min(100, size - found.length)}${after}`);
    found.push(...page.data);
    if (!page.has_more || found.length >= size) return { items: found.reverse(), hasMore: page.has_more };
  }
}

async function steps(run) {
  const path = `/threads/${run.thread_id}/runs/${run.id}/steps?order=asc&limit=100&${CONTENT}`;
  return (await get(path)).data;
}

function followed(run, onChange, onEnd) {
  let block = newRun(run), painting = null;
  const paint = () => { painting = null; onChange(block); };
  const stop = follow(run, {
    onEvent: (event) => {
      block = withEvent(block, event);
      painting ??= setTimeout(paint, PAINT_MS);
    },
    // What the database has is the last word.
    onEnd: () => { clearTimeout(painting); onEnd(); },
  });
  return () => { clearTimeout(painting); stop(); };
}

const withRun = (was, block) => ({ ...was, blocks: was.blocks.map((each) => (each.run?.id === block.run.id ? block : each)) });

/** Calls `onReturn` when the page is looked at again. */
function useReturn(onReturn) {
  useEffect(() => {
    const seen = () => document.visibilityState === "visible" && onReturn();
    document.addEventListener("visibilitychange", seen);
    return () => document.removeEventListener("visibilitychange", seen);
  });
}
