"""The ends of streams, which litellm finds where there are none."""

from collections.abc import Callable
from typing import Any

END, ESCAPED_END = "[DONE]", "\\u005bDONE]"
NOTHING = ""


def find_no_end_in_texts() -> None:
    """litellm takes every line with `[DONE]` in it for an end, with a finish reason of its own.

    A text with these characters would be lost. After a stream that broke off, the end itself would complete the answer.
    """
    from litellm.llms.base_llm.base_model_iterator import BaseModelResponseIterator

    iterator: Any = BaseModelResponseIterator
    iterator._handle_string_chunk = _without_end(iterator._handle_string_chunk)


def _without_end(read: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def read_line(self: Any, str_line: str) -> Any:
        is_end = str_line.strip().removeprefix("data:").strip() == END
        # In JSON the characters are part of a string.
        return read(self, NOTHING if is_end else str_line.replace(END, ESCAPED_END))

    return read_line
