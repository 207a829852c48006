"""What Holdfast keeps in Weaviate: a collection for each embedding model, a tenant for each store, an object for each
window of a chunk. The first window has the chunk's text; one without vectors has it alone.
"""

import hashlib
import uuid
from collections.abc import Iterator
from typing import Any, Final

from weaviate.classes.config import (
    Configure,
    DataType,
    Property,
    StopwordsPreset,
    Tokenization,
    VectorDistances,
)
from weaviate.classes.data import DataObject

from models.search_index import IndexedChunk, IndexedFile, IndexedStore, Vector

SOURCE: Final = "source"
"""A file in one generation, as one word."""
FILE: Final = "file"
GENERATION: Final = "generation"
CHUNK: Final = "chunk"
WINDOW: Final = "window"
PAGE: Final = "page"
TEXT: Final = "text"

BM25_K1: Final = 1.2

_IDS = uuid.UUID("5f4cbdb4-5d86-4d2e-9b1c-5a3b5e0f6c0d")


def collection_name(store: IndexedStore) -> str:
    """Vectors of different models are never compared, nor can they be where their lengths differ."""
    model = f"{store.embedding_model}/{store.dimensions}" if store.embedding_model else "keywords"
    return f"Holdfast_{hashlib.sha256(model.encode()).hexdigest()[:12]}"


def collection_settings(store: IndexedStore) -> dict[str, Any]:
    """Attributes of files are not in it: its properties are of all stores, and each has names and types of its own."""
    return {
        "description": f"Holdfast: {store.embedding_model or 'keywords alone'}",
        "properties": [
            _word(SOURCE),
            _word(FILE),
            _number(GENERATION),
            _number(CHUNK),
            _number(WINDOW),
            Property(name=PAGE, data_type=DataType.INT, index_filterable=False),
            Property(
                name=TEXT,
                data_type=DataType.TEXT,
                tokenization=Tokenization.WORD,
                index_filterable=False,
                text_analyzer=Configure.text_analyzer(ascii_fold=True),
            ),
        ],
        # Without quantization: the scores are the cosines themselves.
        "vector_config": Configure.Vectors.self_provided(
            vector_index_config=Configure.VectorIndex.hnsw(
                distance_metric=VectorDistances.COSINE,
                quantizer=Configure.VectorIndex.Quantizer.none(),
                # Of 30,000 vectors of 40 independent directions 0.998 of the nearest 50 are found, with 8 all of them,
                # for a third more CPU.
                dynamic_ef_factor=2,
            )
        ),
        # Chunks are about as long as one another, and without their lengths (b) idfs follow from scores.
        # Stop words are left out of queries by `models.search_terms`, for every index alike.
        "inverted_index_config": Configure.inverted_index(
            bm25_b=0, bm25_k1=BM25_K1, stopwords_preset=StopwordsPreset.NONE
        ),
        "multi_tenancy_config": Configure.multi_tenancy(auto_tenant_creation=True, auto_tenant_activation=True),
    }


def source(file: IndexedFile) -> str:
    return f"{file.id}/{file.generation}"


def file_of(source: str) -> IndexedFile:
    file_id, _, generation = source.rpartition("/")
    return IndexedFile(file_id, int(generation))


def objects_of(store: IndexedStore, file: IndexedFile, chunk: IndexedChunk) -> Iterator[DataObject[Any, Any]]:
    """Their ids follow from what they are of, so that adding them again replaces them. Raises `ValueError`."""
    vectors: tuple[Vector | None, ...] = tuple(chunk.vectors) or (None,)
    for window, vector in enumerate(vectors):
        if vector is not None and len(vector) != store.dimensions:
            raise ValueError(f"a vector of {len(vector)} dimensions in a store of {store.dimensions}")
        whole = {TEXT: chunk.text, **({} if chunk.page is None else {PAGE: chunk.page})} if window == 0 else {}
        properties = {
            SOURCE: source(file),
            FILE: file.id,
            GENERATION: file.generation,
            CHUNK: chunk.number,
            WINDOW: window,
            **whole,
        }
        yield DataObject(
            properties=properties,
            uuid=object_id(store, source(file), chunk.number, window),
            vector=None if vector is None else list(vector),
        )


def object_id(store: IndexedStore, source: str, chunk: int, window: int = 0) -> uuid.UUID:
    return uuid.uuid5(_IDS, f"{store.id}/{source}/{chunk}/{window}")


def chunk_of(properties: dict[str, Any]) -> IndexedChunk:
    page = properties.get(PAGE)
    return IndexedChunk(int(properties[CHUNK]), properties[TEXT], None if page is None else int(page))


def _word(name: str) -> Property:
    return Property(name=name, data_type=DataType.TEXT, tokenization=Tokenization.FIELD, index_searchable=False)


def _number(name: str) -> Property:
    return Property(name=name, data_type=DataType.INT)
