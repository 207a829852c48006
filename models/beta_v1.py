"""Objects that only the first beta has: the files of assistants and of messages."""

from collections.abc import Mapping
from typing import Literal

from models.ids import FileId
from models.wire import IdentifiedObject, RequestBody

MADE_FOR_V1: Mapping[str, str] = {"made_for": "assistants=v1"}
"""The metadata of a vector store that was made for an assistant's `file_ids`, and for nothing else."""


def is_made_for_v1(metadata: Mapping[str, str]) -> bool:
    return MADE_FOR_V1.items() <= metadata.items()


class AssistantFile(IdentifiedObject):
    """`id` is the file's."""

    object: Literal["assistant.file"] = "assistant.file"
    created_at: int
    assistant_id: str


class MessageFile(IdentifiedObject):
    """`id` is the file's, `created_at` the message's."""

    object: Literal["thread.message.file"] = "thread.message.file"
    created_at: int
    message_id: str


class CreateAssistantFileRequest(RequestBody):
    file_id: FileId
