"""Errors about vector stores.

ApiError
├── InvalidRequest           400
│   ├── VectorStoreExpired
│   ├── VectorStoreOfRunExpired
│   ├── VectorStoreFull
│   └── UnsupportedExtensions
├── NotFound                 404
│   └── StoreFileNotFound
└── SearchUnavailable        503
"""

from collections.abc import Iterable

from models.errors import ApiError, InvalidRequest, NotFound


class VectorStoreExpired(InvalidRequest):
    def __init__(self, store_id: str) -> None:
        super().__init__(f"Vector store '{store_id}' has expired")


class VectorStoreOfRunExpired(InvalidRequest):
    """In OpenAI's words, which differ from those of operations on the store itself."""

    def __init__(self, store_id: str) -> None:
        super().__init__(f"Vector store {store_id} is expired")


class VectorStoreFull(InvalidRequest):
    def __init__(self, limit: int) -> None:
        super().__init__(f"A vector store holds at most {limit} files. Delete some, or add them to a new vector store.")


class UnsupportedExtensions(InvalidRequest):
    def __init__(self, extensions: Iterable[str]) -> None:
        super().__init__(
            f"Files with extensions [{', '.join(extensions)}] are not supported for retrieval.",
            "file_ids",
            "unsupported_file",
        )


class StoreFileNotFound(NotFound):
    def __init__(self, file_id: str, store_id: str) -> None:
        super().__init__(f"No file found with id '{file_id}' in vector store '{store_id}'.")


class SearchUnavailable(ApiError):
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The server's search index or embedding model does not answer at the moment. You can retry your request."
        )
