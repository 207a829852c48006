"""What passes between the API, the workflows that ingest files, and their activities: ids and small facts."""

from dataclasses import dataclass

from models.documents import FileErrorCode
from models.vector_stores import StoreFileStatus

INGEST_WORKFLOW = "IngestWorkflow"
INGEST_BATCH_WORKFLOW = "IngestBatchWorkflow"
VECTOR_STORE_ATTRIBUTE = "VectorStoreId"
FILE_ATTRIBUTE = "FileId"


@dataclass(frozen=True)
class IngestInput:
    """A file of a store in one generation: each time that it is ingested anew has a larger one."""

    store_id: str
    file_id: str
    generation: int

    @property
    def workflow_id(self) -> str:
        return f"ingest/{self.store_id}/{self.file_id}/{self.generation}"

    @property
    def summary(self) -> str:
        return f"{self.file_id} in {self.store_id}"


@dataclass(frozen=True)
class IngestBatchInput:
    """The files of a batch that are in progress and follow `after`, by `seq`."""

    batch_id: str
    after: int = 0

    @property
    def workflow_id(self) -> str:
        return f"ingest/{self.batch_id}"


@dataclass(frozen=True)
class PendingFiles:
    """A page of files to ingest. `after` is where the next page goes on; None: this is the last one."""

    files: list[IngestInput]
    after: int | None


@dataclass(frozen=True)
class IngestError:
    code: FileErrorCode
    message: str


@dataclass(frozen=True)
class IngestEnd:
    """How the ingestion of a file ends."""

    file: IngestInput
    status: StoreFileStatus
    error: IngestError | None = None
    usage_bytes: int = 0
