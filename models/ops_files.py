"""Files of vector stores for operators: how they stand and why they failed. Never names or texts of files."""

from typing import Literal

from pydantic import Field

from models.ops_runs import MAX_NAME_LENGTH
from models.vector_stores import LastFileError, StoreFileStatus
from models.wire import IdentifiedObject, RequestBody

UnfinishedStatus = Literal["failed", "in_progress", "cancelled"]
"""The statuses by which operators list files: one that is completed needs no operator."""


class RetryFileRequest(RequestBody):
    """`by` is logged with the retry; without it, the project of the caller's key, or that it was an operator's."""

    by: str | None = Field(None, min_length=1, max_length=MAX_NAME_LENGTH)


class OpsFile(IdentifiedObject):
    """A file in one vector store; `id` has both ids. Times are in seconds since the epoch.

    `created_at` is when it was added to the store, `started_at` when its last ingestion began.
    """

    object: Literal["ops.file"] = "ops.file"
    project: str
    vector_store_id: str
    file_id: str
    batch_id: str | None
    status: StoreFileStatus
    created_at: int
    started_at: int
    ended_at: int | None
    chunks: int
    usage_bytes: int
    last_error: LastFileError | None
    temporal_url: str | None
