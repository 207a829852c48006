"""The text of a file in a vector store, as its chunks have it."""

from infra.database.columns import AnyRow
from infra.ports import VectorIndex
from models.search_index import IndexedFile, IndexedStore
from models.vector_stores import FileContentPage, StoreFileStatus, TextContent

PAGE_SIZE = 500


async def content_of(index: VectorIndex, store: IndexedStore, row: AnyRow) -> FileContentPage:
    """All of it, each piece of text once; nothing of a file that is not completed. Raises `VectorIndexUnavailable`."""
    file = IndexedFile(row.id, row.generation)
    overlaps = row.chunk_overlaps or [] if row.status == StoreFileStatus.COMPLETED else []
    texts: list[TextContent] = []
    while len(texts) < len(overlaps):
        page = await index.chunks(store, file, len(texts) - 1, PAGE_SIZE)
        if not page:
            break
        texts += [TextContent(text=chunk.text[overlaps[chunk.number] :]) for chunk in page]
    return FileContentPage(data=texts)
