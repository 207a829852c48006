"""Calls that a model writes as JSON into its text: small models on servers of the operator's own do so."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from models.language_model import CallDelta, Finish, FinishReason, ModelDelta, ModelRequest, TextDelta

Call = tuple[str, str]

MAX_CHARACTERS = 1_000_000
"""A longer text is no call."""

MAX_BEGINNING = 100

_FENCE = "```"
_BETWEEN = re.compile(r"[\s;,]*")
_BEGINNING = re.compile(r'\s*(?:```(?:json)?\s*)?(?:\[\s*)?\{\s*"(?:name|arguments|parameters|type|function|id)"')
_PART_OF_BEGINNING = re.compile(r'\s*(?:`{1,2}|```\w{0,4}\s*)?(?:\[\s*)?(?:\{\s*(?:"[a-z]*)?)?')


class WrittenCalls:
    """Reads the deltas of one answer. A text that is nothing but calls of the request's functions becomes these calls.

    Any other text passes unchanged; only one that begins like a call is held back until its end.
    """

    def __init__(self, request: ModelRequest) -> None:
        self._names = request.function_names
        # JSON may be what the client asked for.
        self._is_looking = bool(self._names) and request.response_format is None and request.tool_choice != "none"
        self._held: list[str] = []
        self._length = 0
        self._has_begun = False

    def read(self, delta: ModelDelta) -> Iterator[ModelDelta]:
        match delta:
            case TextDelta(text) if self._is_looking:
                self._held.append(text)
                self._length += len(text)
                if not self._may_be_calls():
                    yield from self._released()
            case Finish(FinishReason.STOP) if self._held and (calls := written_calls("".join(self._held), self._names)):
                for index, (name, arguments) in enumerate(calls):
                    yield CallDelta(index, name, arguments)
                yield replace(delta, reason=FinishReason.TOOL_CALLS)
            case _:
                yield from self._released()
                yield delta

    def _may_be_calls(self) -> bool:
        # A text that began like a call is not searched again for each of its pieces.
        if self._has_begun:
            return self._length <= MAX_CHARACTERS
        text = "".join(self._held)
        self._has_begun = _BEGINNING.match(text) is not None
        return self._has_begun or (len(text) <= MAX_BEGINNING and _PART_OF_BEGINNING.fullmatch(text) is not None)

    def _released(self) -> Iterator[TextDelta]:
        self._is_looking = False
        for text in self._held:
            yield TextDelta(text)
        self._held = []


def written_calls(text: str, names: Collection[str]) -> list[Call]:
    """The calls of which `text` consists; none if there is anything else in it, or a function is not in `names`."""
    try:
        values = _values(_unfenced(text.strip()))
    except (ValueError, RecursionError):
        return []
    calls = [_call(value) for value in values]
    found = [call for call in calls if call is not None and call[0] in names]
    return found if len(found) == len(calls) else []


def _unfenced(text: str) -> str:
    # A pattern tries each white space inside the fence as the last: minutes for a long text.
    if not (text.startswith(_FENCE) and text.endswith(_FENCE)):
        return text
    return text.removeprefix(_FENCE).removesuffix(_FENCE).removeprefix("json").strip()


def _values(text: str) -> list[Any]:
    values: list[Any] = []
    place, decoder = 0, json.JSONDecoder()
    while place < len(text):
        value, end = decoder.raw_decode(text, place)
        values.extend(value if isinstance(value, list) else [value])
        between = _BETWEEN.match(text, end)
        place = between.end() if between else end
    return values


def _call(value: Any) -> Call | None:
    match value:
        case {"function": Mapping() as function}:
            return _call(function)
        case {"name": str(name), "arguments": Mapping() | str() as arguments}:
            return name, _written(arguments)
        case {"name": str(name), "parameters": Mapping() as arguments}:
            return name, _written(arguments)
    return None


def _written(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
