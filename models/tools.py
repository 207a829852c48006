"""Tools, the tool choice of a run, and the format of the answer."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from models.ids import FileId
from models.vector_stores import MAX_FILES_OF_STORE, ChunkingStrategy
from models.web_domains import Domain
from models.wire import Metadata, RequestBody, TaggedBy, absent, branch, null_means, one_of

MAX_ASSISTANT_TOOLS = 128
MAX_RUN_TOOLS = 20
MAX_ALLOWED_DOMAINS = 100
FUNCTION_NAME_PATTERN = r"^[a-zA-Z0-9_-]+$"

# Bounded, because it is a search attribute in Temporal.
ModelName = Annotated[str, Field(min_length=1, max_length=256)]
FunctionName = Annotated[str, Field(pattern=FUNCTION_NAME_PATTERN, max_length=64)]


def _empty_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


class FunctionDefinition(RequestBody):
    name: FunctionName
    description: str | None = Field(None, exclude_if=absent)
    parameters: Annotated[dict[str, Any], null_means(_empty_parameters)] = Field(default_factory=_empty_parameters)
    strict: Annotated[bool, null_means(bool)] = False

    @field_validator("parameters")
    @classmethod
    def _of_an_object(cls, parameters: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        kind = parameters.get("type", "object")
        if kind != "object":
            raise PydanticCustomError("function_parameters", "", {"function": info.data.get("name"), "type": kind})
        return parameters


class FunctionTool(RequestBody):
    type: Literal["function"]
    function: FunctionDefinition


class CodeInterpreterTool(RequestBody):
    type: Literal["code_interpreter"]


class RankingOptions(RequestBody):
    ranker: Literal["auto", "default_2024_08_21"] = "default_2024_08_21"
    score_threshold: float = Field(ge=0, le=1)
    hybrid_search: None = None


class FileSearchOptions(RequestBody):
    max_num_results: int | None = Field(None, ge=1, le=50, exclude_if=absent)
    ranking_options: RankingOptions = Field(default_factory=lambda: RankingOptions(score_threshold=0.0))


class FileSearchTool(RequestBody):
    type: Literal["file_search"]
    file_search: FileSearchOptions = Field(default_factory=lambda: FileSearchOptions())


class WebRetrievalOptions(RequestBody):
    """A domain is allowed with its subdomains."""

    allowed_domains: (
        Annotated[list[Domain], Field(min_length=1, max_length=MAX_ALLOWED_DOMAINS, fail_fast=True)] | None
    ) = Field(None, exclude_if=absent)
    max_num_results: int | None = Field(None, ge=1, le=50, exclude_if=absent)


class WebRetrievalTool(RequestBody):
    """An extension: the tool of the OpenGPTs assistants-api, and options that it lacks."""

    type: Literal["web_retrieval"]
    web_retrieval: WebRetrievalOptions | None = Field(None, exclude_if=absent)


Tool = Annotated[CodeInterpreterTool | FunctionTool | FileSearchTool | WebRetrievalTool, TaggedBy("type")]
AssistantTools = Annotated[
    list[Tool],
    Field(max_length=MAX_ASSISTANT_TOOLS, fail_fast=True),
]
RunTools = Annotated[
    list[Tool],
    Field(max_length=MAX_RUN_TOOLS, fail_fast=True),
]


class CodeInterpreterResources(RequestBody):
    file_ids: Annotated[list[FileId], null_means(list)] = Field(fail_fast=True, default_factory=list, max_length=20)


class FileSearchResources(RequestBody):
    vector_store_ids: Annotated[list[str], null_means(list)] = Field(fail_fast=True, default_factory=list, max_length=1)


class ToolResources(RequestBody):
    code_interpreter: CodeInterpreterResources | None = Field(None, exclude_if=absent)
    file_search: FileSearchResources | None = Field(None, exclude_if=absent)


class InlineVectorStore(RequestBody):
    """A vector store that is created with its assistant or thread."""

    file_ids: Annotated[list[FileId], null_means(list)] = Field(
        fail_fast=True, default_factory=list, max_length=MAX_FILES_OF_STORE
    )
    chunking_strategy: ChunkingStrategy | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _chunks_of_files(self) -> Self:
        if self.chunking_strategy is not None and not self.file_ids:
            raise PydanticCustomError(
                "exclusive", "it can only be given with 'file_ids'", {"at": "chunking_strategy", "input": None}
            )
        return self


class CreateFileSearchResources(FileSearchResources):
    # Never stored: the vector store that it creates has an id.
    vector_stores: Annotated[list[InlineVectorStore], null_means(list)] = Field(
        default_factory=list, max_length=1, exclude_if=lambda made: not made
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.vector_store_ids and self.vector_stores:
            raise PydanticCustomError(
                "exclusive", "give only one of 'vector_store_ids' and 'vector_stores'", {"at": "vector_stores"}
            )
        return self


class CreateToolResources(RequestBody):
    """Tool resources of a create request, which may create a vector store as well."""

    code_interpreter: CodeInterpreterResources | None = None
    file_search: CreateFileSearchResources | None = None


class ChosenFunction(RequestBody):
    name: FunctionName


class ChooseFunction(RequestBody):
    type: Literal["function"]
    function: ChosenFunction


class ChooseCodeInterpreter(RequestBody):
    type: Literal["code_interpreter"]
    # What the SDKs' own object has where it is sent back.
    function: None = Field(None, exclude_if=absent)


class ChooseFileSearch(RequestBody):
    type: Literal["file_search"]
    function: None = Field(None, exclude_if=absent)


class ChooseWebRetrieval(RequestBody):
    type: Literal["web_retrieval"]
    function: None = Field(None, exclude_if=absent)


NamedToolChoice = Annotated[
    ChooseFunction | ChooseCodeInterpreter | ChooseFileSearch | ChooseWebRetrieval, TaggedBy("type")
]


class TextFormat(RequestBody):
    type: Literal["text"]


class JsonObjectFormat(RequestBody):
    type: Literal["json_object"]


class JsonSchema(RequestBody):
    name: FunctionName
    description: str | None = Field(None, exclude_if=absent)
    schema_: dict[str, Any] | None = Field(None, alias="schema", exclude_if=absent)
    strict: bool | None = Field(None, exclude_if=absent)


class JsonSchemaFormat(RequestBody):
    type: Literal["json_schema"]
    json_schema: JsonSchema


NamedFormat = Annotated[JsonObjectFormat | JsonSchemaFormat | TextFormat, TaggedBy("type")]


def _word_or_object(value: object) -> str:
    return branch("word") if isinstance(value, str) else branch("object")


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(branch("word"))]
    | Annotated[NamedToolChoice, Tag(branch("object"))],
    Discriminator(_word_or_object),
    one_of("'none', 'auto', or 'required' or object", str, dict, BaseModel),
]
ResponseFormat = Annotated[
    Annotated[Literal["auto"], Tag(branch("word"))] | Annotated[NamedFormat, Tag(branch("object"))],
    Discriminator(_word_or_object),
    one_of("'auto' or object", str, dict, BaseModel),
]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
