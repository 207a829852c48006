"""Embeds chunks: each is cut into windows that the model sees all of, and has one vector per window."""

from collections.abc import Iterator, Sequence

from infra.ports import Embedder
from models.chunks import Chunk
from models.search_index import IndexedChunk

MIN_SHARED_CHARACTERS = 400
"""A shorter overlap would make a window too small to mean much: it is embedded with the rest of its chunk."""


async def embedded_chunks(
    embedder: Embedder | None, chunks: Sequence[Chunk], following: Chunk | None = None
) -> Sequence[IndexedChunk]:
    """Consecutive chunks of a file with their vectors; without an embedder, without vectors.

    `following` is the chunk after the last of them, if there is one. What two chunks share is a window, or some, of its
    own, and embedded once: that halves the work for chunks of 800 tokens with an overlap of 400.
    """
    if embedder is None:
        return [_indexed(chunk, ()) for chunk in chunks]
    overlaps_after = [chunk.overlap for chunk in [*chunks[1:], *([following] if following else [])]]
    sections = [
        list(_sections(chunk, overlap_after))
        for chunk, overlap_after in zip(chunks, [*overlaps_after, 0], strict=False)
    ]
    windows = {text: await embedder.windows(text) for text in {text for texts in sections for text in texts}}
    every_window = list(dict.fromkeys(window for texts in sections for text in texts for window in windows[text]))
    vectors = dict(zip(every_window, await embedder.embed(every_window), strict=True))
    return [
        _indexed(chunk, [vectors[window] for text in texts for window in windows[text]])
        for chunk, texts in zip(chunks, sections, strict=True)
    ]


def _sections(chunk: Chunk, overlap_after: int) -> Iterator[str]:
    first = chunk.overlap if chunk.overlap >= MIN_SHARED_CHARACTERS else 0
    shared = overlap_after if overlap_after >= MIN_SHARED_CHARACTERS else 0
    last = max(len(chunk.text) - shared, first)
    for text in (chunk.text[:first], chunk.text[first:last], chunk.text[last:]):
        if text.strip():
            yield text


def _indexed(chunk: Chunk, vectors: Sequence[Sequence[float]]) -> IndexedChunk:
    return IndexedChunk(chunk.number, chunk.text, chunk.page, vectors)
