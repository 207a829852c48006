// The order of a conversation: messages that no run wrote, and runs, each where its answer is. Pure.

/** `messages` and `runs` oldest first; a block is `{message}` or `{run}`. */
export function blocksOf(messages, runs) {
  const byId = new Map(runs.map((run) => [run.id, run]));
  const blocks = [], placed = new Set();
  const place = (run) => { if (!placed.has(run.id)) { placed.add(run.id); blocks.push({ run }); } };
  const answered = new Set(messages.map((message) => message.run_id));
  const silent = runs.filter((run) => !answered.has(run.id));
  for (const message of messages) {
    // A run without a message, failed or under way, stands before what was said after it began.
    for (const run of silent) if (run.created_at < message.created_at) place(run);
    const run = byId.get(message.run_id);
    if (run) place(run);
    else blocks.push({ message });
  }
  silent.forEach(place);
  return blocks;
}
