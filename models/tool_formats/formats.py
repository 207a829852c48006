"""The format of each kind of tool call."""

from collections.abc import Mapping

from models.tool_calls import ToolKind
from models.tool_formats.code_interpreter import CodeInterpreterFormat
from models.tool_formats.file_search import FileSearchFormat
from models.tool_formats.format import ToolFormat
from models.tool_formats.function import FunctionFormat
from models.tool_formats.web_retrieval import WebRetrievalFormat

FORMATS: Mapping[ToolKind, ToolFormat] = {
    ToolKind.FUNCTION: FunctionFormat(),
    ToolKind.FILE_SEARCH: FileSearchFormat(),
    ToolKind.WEB_RETRIEVAL: WebRetrievalFormat(),
    ToolKind.CODE_INTERPRETER: CodeInterpreterFormat(),
    ToolKind.UNKNOWN_FUNCTION: FunctionFormat(),
}
