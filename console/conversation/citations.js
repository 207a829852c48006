// Citations as footnotes. Their markers become places that survive markdown: a number between two private characters.
const OPEN = "\uE000", CLOSE = "\uE001";
export const PLACE = /\uE000(\d+)\uE001/g;

/** The text of a part of a message with places for its footnotes, and the footnotes: equal sources are one. */
export function footnoted({ value, annotations = [] }) {
  const notes = [], numbers = new Map();
  // Positions count characters, not the halves that JavaScript has of some.
  const characters = Array.from(value, (each) => (each === OPEN || each === CLOSE ? "" : each));
  for (const annotation of annotations) {
    if (!annotation?.text) continue;
    const key = `${annotation.type} ${annotation.text}`;
    if (!numbers.has(key)) numbers.set(key, notes.push(noteOf(annotation)));
    if (annotation.type === "file_path") continue;
    const { start_index: start, end_index: end } = annotation;
    if (!(start >= 0 && start < end && end <= characters.length)) continue;
    characters.fill("", start, end);
    characters[start] = `${OPEN}${numbers.get(key)}${CLOSE}`;
  }
  return { text: characters.join(""), notes };
}

function noteOf(annotation) {
  switch (annotation.type) {
    case "url_citation": {
      const { url, title, quote } = annotation.url_citation;
      return { title: title || url, link: url, quote };
    }
    case "file_path":
      return { title: annotation.text.split("/").at(-1), fileId: annotation.file_path.file_id };
    default: {
      const { page, quote } = annotation.file_citation;
      return { title: nameIn(annotation.text) + (page ? `, page ${page}` : ""), quote };
    }
  }
}

const nameIn = (marker) => /†(.+?)】/.exec(marker)?.[1] ?? marker;
