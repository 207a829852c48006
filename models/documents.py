"""What is read from a file: its text, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """`number` counts from 1; None where the format has no pages."""

    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    pages: Sequence[Page]
