"""Assembles streamed tool calls from their pieces, for all variants of OpenAI's wire that providers use."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from infra.language_model.errors import ModelStreamBroken
from models.language_model import CallDelta


@dataclass(slots=True)
class _Call:
    index: int
    id: str | None
    wire_index: int | None
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    is_announced: bool = False


class CallPieces:
    """Converts pieces of calls into `CallDelta`s with dense indexes and a name only at the beginning.

    Variants of real providers: no index, one index for several calls that differ by their ids, a whole call in one
    piece, the name in several pieces or in every piece, ids in every piece.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        """`names` of functions tell a second call from the rest of a name, where the wire does not."""
        self._names = names
        self._calls: list[_Call] = []
        self.current = 0
        """The index of the call to which the last piece belonged."""

    @property
    def has_any(self) -> bool:
        return bool(self._calls)

    def add(self, wire_index: int | None, id: str | None, name: str, arguments: str) -> Iterator[CallDelta]:
        call = self._call_of(wire_index, id or None, name, arguments)
        if call is None:
            # A call begins only with an id or a name; other pieces are filler.
            if not (id or name or arguments):
                return
            yield from self.finish()
            call = _Call(len(self._calls), id or None, wire_index)
            self._calls.append(call)
        self.current = call.index
        if not call.is_announced and name != call.name:
            call.name += name
        if arguments:
            yield from self._announce(call)
            call.arguments.append(arguments)
            yield CallDelta(call.index, arguments=arguments)

    def finish(self) -> Iterator[CallDelta]:
        """The pieces that were retained because a name might have continued."""
        for call in self._calls:
            yield from self._announce(call)

    def _announce(self, call: _Call) -> Iterator[CallDelta]:
        if not call.is_announced:
            if not call.name:
                raise ModelStreamBroken("The model called a function without naming it.")
            call.is_announced = True
            yield CallDelta(call.index, name=call.name)

    def _call_of(self, wire_index: int | None, id: str | None, name: str, arguments: str) -> _Call | None:
        for call in reversed(self._calls):
            if id is not None and call.id is not None:
                # Some repeat one id for every call; then the index distinguishes calls, once the last one is complete.
                is_other = wire_index != call.wire_index and name and _is_complete(call)
                if id == call.id and not is_other:
                    return call
            elif wire_index is None or call.wire_index in (None, wire_index):
                begins_another = name and (arguments or name != call.name) and _is_complete(call)
                return None if begins_another or self._is_other_function(call, name) else call
        return None

    def _is_other_function(self, call: _Call, name: str) -> bool:
        are_whole = name in self._names and call.name in self._names
        return are_whole and name != call.name and (call.is_announced or call.name + name not in self._names)


def _is_complete(call: _Call) -> bool:
    # Some repeat the name in thousands of pieces: the arguments are not parsed again for each one.
    if not call.arguments or not call.arguments[-1].rstrip().endswith("}"):
        return False
    try:
        json.loads("".join(call.arguments))
    except (ValueError, RecursionError):
        return False
    return True
