"""Cuts a document into overlapping chunks of a number of tokens (cl100k)."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from infra.documents.errors import DocumentTooLarge
from infra.tokenizers import token_starts
from models.chunks import DEFAULT_MAX_TOKENS, DEFAULT_OVERLAP_TOKENS, Chunk
from models.documents import Document
from models.vector_stores import MAX_FILE_TOKENS

PAGE_SEPARATOR = "\n\n"


def chunks(
    document: Document,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    overlap_tokens: int = DEFAULT_OVERLAP_TOKENS,
    most_tokens: int = MAX_FILE_TOKENS,
) -> Sequence[Chunk]:
    """Each chunk has `max_tokens`, the last one maybe fewer, and begins `overlap_tokens` before the last one's end.

    Where that would cut a character in two, both sizes are a few tokens less. A document without text has no chunks.
    Raises `DocumentTooLarge` for a document of more than `most_tokens`. Takes a second for a million tokens: call it in
    a thread.
    """
    pages = [_well_formed(page.text) for page in document.pages]
    text = PAGE_SEPARATOR.join(pages)
    if not text.strip():
        return []
    starts = token_starts(text)
    if len(starts) > most_tokens:
        raise DocumentTooLarge.because(f"it has more than {most_tokens} tokens")
    page_starts = list(accumulate((len(page) + len(PAGE_SEPARATOR) for page in pages), initial=0))
    return [
        Chunk(
            number=number,
            text=text[span.start : span.end],
            page=document.pages[_page_index(text, span, page_starts)].number,
            overlap=span.overlap,
        )
        for number, span in enumerate(_spans([*starts, len(text)], max_tokens, overlap_tokens))
    ]


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    overlap: int


def _spans(borders: Sequence[int], max_tokens: int, overlap_tokens: int) -> Iterator[_Span]:
    last = len(borders) - 1
    start, end = 0, 0
    while end < last:
        overlap = borders[end] - borders[start]
        # A character of more tokens than a chunk may have is not cut either.
        end = max(_at_or_before(borders, start + max_tokens), _after(borders, end))
        yield _Span(borders[start], borders[end], overlap)
        start = _after(borders, end - overlap_tokens - 1)


def _at_or_before(borders: Sequence[int], index: int) -> int:
    index = min(index, len(borders) - 1)
    while borders[index] < 0:
        index -= 1
    return index


def _after(borders: Sequence[int], index: int) -> int:
    index = max(index + 1, 0)
    while borders[index] < 0:
        index += 1
    return index


def _page_index(text: str, span: _Span, page_starts: Sequence[int]) -> int:
    # A chunk that begins with the end of a page's last line belongs to the page after it.
    blank = span.end - span.start - len(text[span.start : span.end].lstrip())
    return min(bisect_right(page_starts, span.start + blank) - 1, len(page_starts) - 2)


def _well_formed(text: str) -> str:
    # Half of a surrogate pair has no UTF-8, neither here nor in a database.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
