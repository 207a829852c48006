"""Text, title and links of a page in HTML, by lxml alone. Runs in the confined child process only."""

import codecs
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from lxml import html
from lxml.etree import iterwalk

from infra.documents.readers import HIDDEN_TAGS, INLINE_TAGS
from infra.documents.text import decode

META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([\w-]{1,40})", re.IGNORECASE)
META_BYTES = 4096
MIN_BYTES_PER_NUL = 4


def decoded(content: bytes, charset: str | None) -> str:
    """By what the server said, then by what the page says, then by detection."""
    if content.count(0) * MIN_BYTES_PER_NUL < len(content):
        # Strays. Text of two bytes a character has more.
        content = content.replace(b"\0", b"")
    declared = META_CHARSET.search(content[:META_BYTES])
    for name in (charset, declared and declared[1].decode("ascii")):
        try:
            if name and not content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return content.decode(name).replace("\0", "")
        except (LookupError, UnicodeDecodeError):
            continue
    return decode(content)


def parsed(text: str) -> Any:
    """The tree, however bad the HTML is. Raises lxml's errors for a text without any element."""
    parser = html.HTMLParser(encoding="utf-8", huge_tree=False, remove_comments=True, remove_pis=True)
    return html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)


def title_of(tree: Any) -> str:
    named = [*tree.xpath("//head/title[1]"), *tree.xpath("//title[1]"), *tree.xpath("//h1[1]")]
    titles = (" ".join("".join(each.itertext()).split()) for each in named)
    return next(filter(None, titles), "")


def links_of(tree: Any) -> Iterator[str]:
    """As the page has them, under its base if it names one."""
    base = next((each.get("href") for each in tree.iter("base") if each.get("href")), None)
    for each in tree.iter("a", "area"):
        if each.get("href") and "nofollow" not in (each.get("rel") or "").lower().split():
            yield _under(base, each.get("href"))


def plain_text(tree: Any) -> str:
    """One line for each block."""
    parts: list[str] = []
    for event, element in _walk(tree):
        if not isinstance(element.tag, str):
            continue
        if element.tag not in INLINE_TAGS:
            parts.append("\n")
        parts.append((element.text if event == "start" else element.tail) or "")
    lines = (" ".join(line.split()) for line in "".join(_one_line(part) for part in parts).split("\n"))
    return "\n".join(line for line in lines if line)


def _walk(tree: Any) -> Iterator[tuple[str, Any]]:
    """Both ends of every element that is shown, without recursion."""
    walker = iterwalk(tree, events=("start", "end"))
    for event, element in walker:
        if event == "start" and element.tag in HIDDEN_TAGS:
            walker.skip_subtree()
        elif event == "end" or element.tag not in HIDDEN_TAGS:
            yield event, element


def _one_line(part: str) -> str:
    return part if part == "\n" else " ".join(part.split("\n"))


def _under(base: str | None, link: str) -> str:
    try:
        return urljoin(base, link) if base else str(link)
    except ValueError:
        return str(link)
