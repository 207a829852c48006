"""Objects that only the first beta has: the files of assistants and of messages."""

from typing import Literal

from models.ids import FileId
from models.wire import IdentifiedObject, RequestBody


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
