"""What passes through the `VectorIndex` port: chunks with their vectors, queries, and ranked candidates."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Vector = Sequence[float]


@dataclass(frozen=True, slots=True)
class IndexedStore:
    """A vector store, and the embedding model that its vectors are of; None: it is searched by keywords alone."""

    id: str
    embedding_model: str | None
    dimensions: int


class IndexedFile(NamedTuple):
    """A file in a store. Each time that it is ingested anew has a larger generation."""

    # A tuple: searches look up thousands.

    id: str
    generation: int


@dataclass(frozen=True, eq=False)
class FileSelection:
    """Files that are searched, each in the generation that counts, and which part they are of the store's.

    One that is searched again should be the same object: an index remembers what it has of it. Where it differs from
    another one in few files, `files` are `DifferingFiles`: an index may have something of that one.
    """

    files: "Sequence[IndexedFile] | DifferingFiles"
    share: float = 1.0

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True, slots=True, eq=False)
class DifferingFiles(Collection[IndexedFile]):
    """The files of another selection but for those of them that it `lacks`, and others that it `adds`."""

    base: FileSelection
    lacks: frozenset[IndexedFile]
    adds: frozenset[IndexedFile]

    def __len__(self) -> int:
        return len(self.base) - len(self.lacks) + len(self.adds)

    def __iter__(self) -> Iterator[IndexedFile]:
        yield from (file for file in self.base.files if file not in self.lacks)
        yield from self.adds

    def __contains__(self, file: object) -> bool:
        return file in self.adds or (file not in self.lacks and file in self.base.files)


@dataclass(frozen=True, slots=True)
class IndexedChunk:
    """A chunk of a file, counted from 0. `page` is the number of its page, where the format has pages.

    A chunk longer than the model's window has several vectors; one without vectors is found by keywords alone. Chunks
    that come from an index have none: it keeps them to itself.
    """

    number: int
    text: str
    page: int | None = None
    vectors: Sequence[Vector] = ()


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """`files` are those that are searched; `limit` bounds each list.

    None searches all that the index has, in whatever generation: the caller leaves out what does not count.
    """

    text: str
    vector: Vector | None
    files: FileSelection | None
    limit: int = 50


class ChunkKey(NamedTuple):
    """Which chunk it is, without its text: an index is asked for many, and the texts of those that are chosen."""

    store: IndexedStore
    file: IndexedFile
    number: int

    @property
    def file_id(self) -> str:
        return self.file.id


class Candidate(NamedTuple):
    """A chunk and its raw score: the cosine of its best vector, or its BM25."""

    key: ChunkKey
    score: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """What an index finds, for `models.ranking.ranked`.

    `max_keyword_score` is the BM25 that a chunk could have at most for the query's terms; 0 where it has none."""

    by_vector: Sequence[Candidate]
    by_keywords: Sequence[Candidate]
    max_keyword_score: float
