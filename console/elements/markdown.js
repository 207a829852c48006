// Markdown of models, tools and users, none of whom is trusted: no script, no image, no style gets through.
import DOMPurify from "dompurify";
import { html } from "htm/preact";
import { Marked } from "marked";
import { useLayoutEffect, useRef } from "preact/hooks";
import { PLACE } from "../conversation/citations.js";

const MAX_LENGTH = 100_000;
// A line that opens so many quotations and lists, each of which the parser enters by a call of its own.
const TOO_DEEP = /^(?:[ \t]*(?:>|(?:[-*+]|\d{1,9}[.)])(?=[ \t]))){100}/m;
const SAFE_LINK = /^(https?:|mailto:)/i;
const ALLOWED = {
  ALLOWED_TAGS: [
    ...["p", "br", "hr", "h3", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a"],
    ...["table", "thead", "tbody", "tr", "th", "td"],
  ],
  ALLOWED_ATTR: ["href", "start", "align"],
  ALLOWED_URI_REGEXP: SAFE_LINK,
  RETURN_DOM_FRAGMENT: true,
};

const marked = new Marked({ gfm: true, breaks: true, renderer: {
  // One level: those of a text need not follow the page's.
  heading({ tokens }) { return `<h3>${this.parser.parseInline(tokens)}</h3>`; },
  // Shown as it is written; only the break that tables need is one.
  html({ text }) { return /^<br *\/?>$/i.test(text.trim()) ? "<br>" : escaped(text); },
  // An image would tell its server that the text was read.
  image({ href, text }) {
    const name = text || "image";
    return this.link({ href, title: null, tokens: [{ type: "text", raw: name, text: name }] });
  },
} });

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const purifier = DOMPurify();
purifier.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A" && node.hasAttribute("href")) {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  }
  // Where it scrolls, the keyboard has to reach it.
  if (node.tagName === "PRE" || node.tagName === "TABLE") node.setAttribute("tabindex", "0");
});

/** `onNote` is called with the number of a footnote whose place is clicked. */
export function Markdown({ text, onNote, inline = false }) {
  const place = useRef(null);
  useLayoutEffect(() => place.current.replaceChildren(rendered(text, onNote, inline)), [text]);
  return inline ? html`<span class="markdown inline" ref=${place} />` : html`<div class="markdown" ref=${place} />`;
}

function rendered(text, onNote, inline) {
  const parsed = parsedOrNull(text, inline);
  if (parsed === null) return document.createTextNode(text.replace(PLACE, ""));
  const fragment = purifier.sanitize(parsed, ALLOWED);
  placeNotes(fragment, onNote);
  return fragment;
}

function parsedOrNull(text, inline) {
  // The parser takes long for very long texts.
  if (text.length > MAX_LENGTH || TOO_DEEP.test(text)) return null;
  try {
    return inline ? marked.parseInline(text) : marked.parse(text);
  } catch {
    // Its stack overflows, if anything: one message must not take the others of its thread away.
    return null;
  }
}

function placeNotes(fragment, onNote) {
  const walker = document.createTreeWalker(fragment, NodeFilter.SHOW_TEXT), texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const node of texts) {
    const pieces = node.data.split(PLACE);
    if (pieces.length > 1) node.replaceWith(...pieces.map((piece, index) => (index % 2 ? mark(Number(piece), onNote) : piece)));
  }
}

function mark(number, onNote) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "note-mark", textContent: number, onclick: () => onNote?.(number) });
  button.setAttribute("aria-label", `Source ${number}`);
  const raised = document.createElement("sup");
  raised.append(button);
  return raised;
}
