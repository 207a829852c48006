"""Chunks of a document, as they are cut and before they are embedded."""

from dataclasses import dataclass

DEFAULT_MAX_TOKENS = 800
DEFAULT_OVERLAP_TOKENS = 400


@dataclass(frozen=True, slots=True)
class Chunk:
    """Counted from 0. `page` is the number of the page on which it begins, where the format has pages.

    `overlap` is how many characters at its beginning are also the end of the chunk before it.
    """

    number: int
    text: str
    page: int | None = None
    overlap: int = 0
