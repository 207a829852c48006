"""Several calls in the arguments of one: OpenAI's models at times call `multi_tool_use.parallel`, their own tool."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from models.language_model import CallDelta, Finish, ModelDelta, ModelRequest
from models.tool_calls import MAX_CALLS

WRAPPERS = frozenset({"multi_tool_use.parallel", "multi_tool_use_parallel", "parallel"})


@dataclass(slots=True)
class _Wrapper:
    name: str
    arguments: list[str] = field(default_factory=list)


class WrappedCalls:
    """Reads the deltas of one answer; the calls in a wrapper become calls of their own, after the others.

    A wrapper whose arguments have another form remains one call.
    """

    def __init__(self, request: ModelRequest) -> None:
        self._wrappers = WRAPPERS - request.function_names
        self._held: dict[int, _Wrapper] = {}
        self._indexes: dict[int, int] = {}

    def read(self, delta: ModelDelta) -> Iterator[ModelDelta]:
        match delta:
            case CallDelta(index, name, arguments) if index in self._held or (name or "").strip() in self._wrappers:
                self._held.setdefault(index, _Wrapper(name or "")).arguments.append(arguments)
            case CallDelta(index, name, arguments):
                yield CallDelta(self._indexes.setdefault(index, len(self._indexes)), name, arguments)
            case Finish():
                yield from self._unwrapped()
                yield replace(delta, state=delta.state.with_calls_at(self._indexes)) if delta.state else delta
            case _:
                yield delta

    def _unwrapped(self) -> Iterator[CallDelta]:
        calls = (call for wrapper in self._held.values() for call in _calls_in(wrapper))
        # One too many shows that the answer has too many; more would only be work.
        for index, (name, arguments) in enumerate(islice(calls, MAX_CALLS + 1), start=len(self._indexes)):
            yield CallDelta(index, name, arguments)


def _calls_in(wrapper: _Wrapper) -> list[tuple[str, str]]:
    written = "".join(wrapper.arguments)
    try:
        uses = json.loads(written)["tool_uses"]
        return [(_name(use), _arguments(use)) for use in uses] or [(wrapper.name, written)]
    except (ValueError, RecursionError, LookupError, TypeError):
        return [(wrapper.name, written)]


def _name(use: Any) -> str:
    name = use["recipient_name"]
    if not isinstance(name, str) or not name:
        raise TypeError(name)
    return name


def _arguments(use: Any) -> str:
    given = use.get("parameters", {})
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
