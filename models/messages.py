"""Messages: the wire object, its content parts and annotations, and the bodies that create and modify one."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from models.ids import FileId
from models.metadata import ChangesMetadata
from models.wire import (
    IdentifiedObject,
    Metadata,
    RequestBody,
    TaggedBy,
    WireObject,
    absent,
    branch,
    null_means,
    one_of,
)

MAX_CONTENT_LENGTH = 256_000
MAX_CONTENT_PARTS = 100
MAX_ATTACHMENTS = 100
MAX_ATTACHMENT_TOOLS = 10
MAX_NEW_MESSAGES = 1000
"""The limit for a request that creates a thread or a run."""


class FileCitationSource(WireObject):
    """`quote` is in the contract of v1 and of deltas, and in the messages of v2 an extension, as `page` is."""

    file_id: str
    quote: str = ""
    page: Annotated[int | None, Field(exclude_if=absent)] = None


class FileCitation(WireObject):
    type: Literal["file_citation"]
    text: str
    start_index: int
    end_index: int
    file_citation: FileCitationSource


class UrlCitationSource(WireObject):
    url: str
    title: str


class UrlCitation(WireObject):
    """An extension, nested as Azure's threads have it; only in answers of runs with `web_retrieval`."""

    type: Literal["url_citation"]
    text: str
    start_index: int
    end_index: int
    url_citation: UrlCitationSource


class FilePathSource(WireObject):
    file_id: str


class FilePath(WireObject):
    type: Literal["file_path"]
    text: str
    start_index: int
    end_index: int
    file_path: FilePathSource


Citation = FileCitation | UrlCitation
AnswerAnnotation = Citation | FilePath
Annotation = Annotated[FileCitation | UrlCitation | FilePath, TaggedBy("type")]


class Text(WireObject):
    value: str
    annotations: list[Annotation] = []


class TextContent(WireObject):
    type: Literal["text"] = "text"
    text: Text


class RefusalContent(WireObject):
    type: Literal["refusal"] = "refusal"
    refusal: str


ImageDetail = Annotated[Literal["auto", "low", "high"], null_means(lambda: "auto")]


class ImageUrl(RequestBody):
    url: str
    detail: ImageDetail = "auto"


class ImageUrlContent(RequestBody):
    type: Literal["image_url"]
    image_url: ImageUrl


class ImageFile(RequestBody):
    file_id: FileId
    detail: ImageDetail = "auto"


class ImageFileContent(RequestBody):
    type: Literal["image_file"]
    image_file: ImageFile


MessageContent = Annotated[TextContent | ImageUrlContent | ImageFileContent | RefusalContent, TaggedBy("type")]


class AttachmentCodeInterpreter(RequestBody):
    type: Literal["code_interpreter"]


class AttachmentFileSearch(RequestBody):
    type: Literal["file_search"]


AttachmentTool = Annotated[AttachmentCodeInterpreter | AttachmentFileSearch, TaggedBy("type")]


class Attachment(RequestBody):
    file_id: FileId
    tools: Annotated[list[AttachmentTool], Field(max_length=MAX_ATTACHMENT_TOOLS, fail_fast=True)]


class NewAttachment(Attachment):
    """For at least one tool: without any, the file would be of no use to a run."""

    tools: Annotated[list[AttachmentTool], Field(min_length=1, max_length=MAX_ATTACHMENT_TOOLS, fail_fast=True)]


class MessageStatus(StrEnum):
    IN_PROGRESS = "in_progress"
    INCOMPLETE = "incomplete"
    COMPLETED = "completed"


class MessageIncompleteReason(StrEnum):
    CONTENT_FILTER = "content_filter"
    MAX_TOKENS = "max_tokens"
    RUN_CANCELLED = "run_cancelled"
    RUN_EXPIRED = "run_expired"
    RUN_FAILED = "run_failed"


class MessageIncompleteDetails(WireObject):
    reason: MessageIncompleteReason


class Message(IdentifiedObject):
    object: Literal["thread.message"] = "thread.message"
    created_at: int
    thread_id: str
    status: MessageStatus
    incomplete_details: MessageIncompleteDetails | None
    completed_at: int | None
    incomplete_at: int | None
    role: Literal["user", "assistant"]
    content: list[MessageContent]
    assistant_id: str | None
    run_id: str | None
    attachments: list[Attachment]
    metadata: dict[str, str]


class TextInput(RequestBody):
    """Text in requests is a plain string; in responses it is an object with annotations."""

    type: Literal["text"]
    text: str = Field(max_length=MAX_CONTENT_LENGTH)


ContentInput = Annotated[ImageFileContent | ImageUrlContent | TextInput, TaggedBy("type")]


def _text_or_parts(value: object) -> str:
    return branch("text") if isinstance(value, str) else branch("parts")


class CreateMessageRequest(RequestBody):
    role: Literal["user", "assistant"]
    content: Annotated[
        Annotated[str, Field(max_length=MAX_CONTENT_LENGTH), Tag(branch("text"))]
        | Annotated[
            list[ContentInput], Field(min_length=1, max_length=MAX_CONTENT_PARTS, fail_fast=True), Tag(branch("parts"))
        ],
        Discriminator(_text_or_parts),
        one_of("a string or array of objects", str, list),
    ]
    attachments: (
        Annotated[
            list[NewAttachment],
            Field(max_length=MAX_ATTACHMENTS, fail_fast=True),
        ]
        | None
    ) = None
    metadata: Metadata | None = None


NewMessages = Annotated[
    list[CreateMessageRequest],
    Field(max_length=MAX_NEW_MESSAGES, fail_fast=True),
]
OnActiveRun = Literal["reject", "enqueue"]
"""The treatment of a message or run that arrives while a run is active on its thread (a Holdfast extension)."""


class AddMessageRequest(CreateMessageRequest):
    """A message for an existing thread. If `on_active_run` is null or absent, the thread's setting applies."""

    on_active_run: OnActiveRun | None = None


class ModifyMessageRequest(ChangesMetadata):
    """Nothing else of it can be changed."""
