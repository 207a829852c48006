"""Collects the provider state of an answer from its chunks."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.answers import storable
from models.provider_state import ProviderState

MAX_CHARACTERS = 4_000_000
"""A larger state is not kept: it would be stored with the turn, and sent again in each one that follows."""

IDENTIFYING = ("type", "index", "id")
"""Two pieces that agree in these belong to one block."""
CONTINUED = ("text", "thinking", "summary")
"""Fields of a block that arrive in pieces."""
CLOSING = ("signature", "data")
"""A block with one of these is complete."""
MAX_DEPTH = 20


class StatePieces:
    """Fields of one answer: texts and blocks are assembled from their pieces, other values replace earlier ones."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._blocks: dict[str, list[dict[str, Any]]] = {}
        self._objects: dict[str, dict[str, Any]] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._size = 0

    def add(self, name: str, value: Any) -> None:
        """A piece of a field of the message. A value of no known form is ignored."""
        match value:
            case str():
                self._texts.setdefault(name, []).append(value)
            case Mapping():
                self._objects.setdefault(name, {}).update(value)
            case Sequence():
                blocks = self._blocks.setdefault(name, [])
                for piece in value:
                    if isinstance(piece, Mapping):
                        _add_block(blocks, piece)
            case _:
                return
        self._size += _size(value)

    def add_to_call(self, place: int, name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            self._calls.setdefault(place, {}).setdefault(name, {}).update(value)
            self._size += _size(value)

    def state(self, provider: str) -> ProviderState | None:
        """None if there was nothing to keep, or too much."""
        message = {name: "".join(pieces) for name, pieces in self._texts.items()} | self._blocks | self._objects
        if not (message or self._calls) or self._size > MAX_CHARACTERS:
            return None
        return ProviderState(provider, _storable(message), _storable(self._calls))


def _add_block(blocks: list[dict[str, Any]], piece: Mapping[str, Any]) -> None:
    last = blocks[-1] if blocks else None
    if last is None or any(last.get(name) for name in CLOSING) or not _is_same(last, piece):
        blocks.append(dict(piece))
        return
    for name, value in piece.items():
        if name in CONTINUED and isinstance(value, str) and isinstance(last.get(name), str):
            last[name] += value
        elif value is not None:
            last[name] = value


def _is_same(block: Mapping[str, Any], piece: Mapping[str, Any]) -> bool:
    return all(piece.get(name) is None or piece.get(name) == block.get(name) for name in IDENTIFYING)


def _storable(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case Mapping():
            return {key: _storable(each) for key, each in value.items()}
        case Sequence():
            return [_storable(each) for each in value]
    return value


def _size(value: Any, depth: int = 0) -> int:
    if depth > MAX_DEPTH:
        return MAX_CHARACTERS + 1
    match value:
        case str():
            return len(value)
        case Mapping():
            return sum(_size(each, depth + 1) for each in value.values())
        case Sequence():
            return sum(_size(each, depth + 1) for each in value)
    return 1
