"""The lines of streams, of which litellm takes some for the end and leaves out others."""

from collections.abc import Callable
from typing import Any

from infra.language_model.chat_completions.failures import UnreadableAnswer

END, ESCAPED_END = "[DONE]", "\\u005bDONE]"
DATA, OBJECT = "data:", "{"
NOTHING = ""


def find_no_end_in_texts() -> None:
    """litellm takes every line with `[DONE]` in it for an end, with a finish reason of its own.

    A text with these characters would be lost. After a stream that broke off, the end itself would complete the answer.
    """
    iterator = _iterator()
    iterator._handle_string_chunk = _without_end(iterator._handle_string_chunk)


def leave_out_no_line() -> None:
    """litellm leaves out what it cannot parse: the answer would lack a piece, and be complete."""
    iterator = _iterator()
    iterator._string_to_dict_parser = staticmethod(_strict(iterator._string_to_dict_parser))


def _iterator() -> Any:
    from litellm.llms.base_llm.base_model_iterator import BaseModelResponseIterator

    return BaseModelResponseIterator


def _without_end(read: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def read_line(self: Any, str_line: str) -> Any:
        # In JSON the characters are part of a string.
        return read(self, NOTHING if _data(str_line) == END else str_line.replace(END, ESCAPED_END))

    return read_line


def _strict(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse_line(str_line: str) -> Any:
        parsed = parse(str_line)
        if parsed is None and _data(str_line) and str_line.startswith((DATA, OBJECT)):
            raise UnreadableAnswer("has a piece that is not JSON")
        return parsed

    return parse_line


def _data(line: str) -> str:
    return line.strip().removeprefix(DATA).strip()
