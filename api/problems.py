"""One of pydantic's errors, with its location in the form of OpenAI's `param`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.errors import InvalidRequest
from models.wire import BRANCH

MAX_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` is `tools[0].function.name`, or empty if the body as a whole is wrong."""

    kind: str
    path: str
    given: Any
    context: Mapping[str, Any]
    text: str

    @classmethod
    def of(cls, error: Mapping[str, Any]) -> "Problem":
        context = error.get("ctx", {})
        location = [*error["loc"][1:], *([context["at"]] if "at" in context else [])]
        return cls(error["type"], _path_of(location), context.get("input", error.get("input")), context, error["msg"])

    @property
    def param(self) -> str:
        return shortened(self.path)

    def refused(self, message: str, code: str) -> InvalidRequest:
        return InvalidRequest(message, self.param or None, code)


def shortened(value: object) -> str:
    """A value shortened for a message: clients send megabytes."""
    text = str(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"


def listed(values: Sequence[str], conjunction: str) -> str:
    """`'a'`, `'a' and 'b'`, `'a', 'b', and 'c'`, as OpenAI's texts list supported values."""
    match [f"'{value}'" for value in values]:
        case [first, second]:
            return f"{first} {conjunction} {second}"
        case [*others, last] if others:
            return f"{', '.join(others)}, {conjunction} {last}"
        case quoted:
            return "".join(quoted)


def _path_of(location: Sequence[str | int]) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part.startswith(BRANCH):
            path += f".{part}" if path else part
    return path
