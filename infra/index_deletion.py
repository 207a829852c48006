"""Removes from the vector index what `index_deletions` says."""

from infra.database import index_deletions
from infra.database.columns import AnyRow
from infra.database.engine import Database
from infra.ports import VectorIndex
from models.search_index import IndexedFile, IndexedStore


async def delete_from_index(database: Database, index: VectorIndex, deletion: AnyRow) -> None:
    """Raises `VectorIndexUnavailable`. To repeat it changes nothing."""
    store = IndexedStore(deletion.store_id, deletion.embedding_model, deletion.dimensions)
    if deletion.file_id is None:
        await index.drop(store)
        return
    if deletion.generation is not None:
        await delete_up_to(index, store, IndexedFile(deletion.file_id, deletion.generation))
        return
    generation = await database.read(index_deletions.generation_to_keep, deletion.store_id, deletion.file_id)
    await index.delete_file(store, deletion.file_id, generation)


async def delete_up_to(index: VectorIndex, store: IndexedStore, file: IndexedFile) -> None:
    """Remove the chunks of a file's generation and of older ones. Raises `VectorIndexUnavailable`.

    Newer ones stay, whenever they come: the file may be added again before this is done.
    """
    await index.delete_file(store, file.id, keep_generation=file.generation + 1)
