"""What is read from a page of the web, and what a search finds there."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadPage:
    """`links` are absolute URLs, in the page's order; of pages in HTML only."""

    title: str
    text: str
    links: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class WebLink:
    """A result of a search engine: the page was not read. `text` is what the engine shows of it."""

    url: str
    title: str
    text: str
