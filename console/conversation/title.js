// How a thread is called: by its metadata, or by its first words.
import { get } from "../client/api.js";

const MAX_LENGTH = 60;

export const shortened = (text) => {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH - 1)}…` : line;
};

export async function titleOf(thread) {
  if (thread.metadata.title) return thread.metadata.title;
  const { data: [first] } = await get(`/threads/${thread.id}/messages?order=asc&limit=1`);
  return shortened(first?.content.map((part) => part.text?.value ?? "").join(" ") ?? "") || "Without a title";
}
