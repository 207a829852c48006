"""The child process that reads pages in HTML: limits itself, and writes a line of JSON for each thing that it read.

Its parent is `page_reading.py`. First comes the plain text of every page, which is quick. Then comes the article of
each one, without navigation and advertisements: some take `trafilatura` so long that the parent ends this process.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from infra.documents.confinement import confine, only_answers
from infra.documents.limits import Limits
from infra.web.page_lines import READY
from infra.web.page_text import decoded, links_of, parsed, plain_text, title_of

MAX_TEXT = 400_000
MAX_TITLE = 300
MAX_LINKS = 1_000


def main(arguments: list[str]) -> None:
    """`arguments`: limits, and `[path, url, charset]` of each page, as JSON."""
    answers = only_answers()
    confine(Limits(**json.loads(arguments[0])))
    pages = json.loads(arguments[1])
    with os.fdopen(answers, "wb") as output:
        trees = []
        for number, (path, url, charset) in enumerate(pages):
            tree = _tree(Path(path), charset)
            plain = None if tree is None else _plain(tree, url)
            _write(output, number, plain)
            trees.append(tree if plain and plain["text"] else None)
        if any(tree is not None for tree in trees):
            import trafilatura  # noqa: F401 - takes a second, which is no page's fault
        _write(output, READY, None)
        for number, tree in enumerate(trees):
            _write(output, number, None if tree is None else _article(tree))


def _tree(path: Path, charset: str | None) -> Any | None:
    try:
        return parsed(decoded(path.read_bytes(), charset))
    # Whatever a parser raises over a hostile page is about the page.
    except Exception:  # noqa: BLE001
        return None


def _plain(tree: Any, url: str) -> dict[str, Any] | None:
    try:
        links = list(dict.fromkeys(_absolute(links_of(tree), url)))[:MAX_LINKS]
        return {"title": title_of(tree)[:MAX_TITLE], "text": plain_text(tree)[:MAX_TEXT], "links": links}
    except Exception:  # noqa: BLE001
        return None


def _absolute(links: Iterator[str], url: str) -> Iterator[str]:
    for link in links:
        try:
            absolute = urljoin(url, link.strip()).partition("#")[0]
            if urlsplit(absolute).scheme in ("http", "https"):
                yield absolute
        except ValueError:
            continue


def _article(tree: Any) -> str | None:
    from trafilatura import extract

    try:
        found = extract(tree, output_format="markdown", include_comments=False, include_tables=True)
    except Exception:  # noqa: BLE001
        return None
    return found[:MAX_TEXT] if found else None


def _write(output: BinaryIO, number: int, found: dict[str, Any] | str | None) -> None:
    output.write(json.dumps([number, found], ensure_ascii=False).encode("utf-8", "replace") + b"\n")
    output.flush()
