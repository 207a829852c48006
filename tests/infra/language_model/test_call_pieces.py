import pytest

from infra.language_model.call_pieces import CallPieces
from infra.language_model.errors import ModelStreamBroken
from models.language_model import CallDelta

Piece = tuple[int | None, str | None, str, str]

WIRES: dict[str, tuple[list[Piece], list[tuple[str, str]]]] = {
    "OpenAI's": (
        [(0, "c0", "f", ""), (0, None, "", '{"a":'), (0, None, "", "1}"), (1, "c1", "g", ""), (1, None, "", "{}")],
        [("f", '{"a":1}'), ("g", "{}")],
    ),
    "whole calls": ([(0, "c0", "f", "{}"), (1, "c1", "g", "{}")], [("f", "{}"), ("g", "{}")]),
    "one id for all": ([(0, "c", "f", "{}"), (1, "c", "g", "{}")], [("f", "{}"), ("g", "{}")]),
    "no index": ([(None, "c0", "f", "{}"), (None, "c1", "g", "{}")], [("f", "{}"), ("g", "{}")]),
    "no index, in pieces": (
        [(None, "c0", "f", '{"a"'), (None, None, "", ":1}"), (None, "c1", "g", "{}")],
        [("f", '{"a":1}'), ("g", "{}")],
    ),
    "one index for all": ([(0, "c0", "f", "{}"), (0, "c1", "g", "{}")], [("f", "{}"), ("g", "{}")]),
    "one index for all, in pieces": (
        [(0, "c0", "f", ""), (0, None, "", "{}"), (0, "c1", "g", ""), (0, None, "", '{"b":2}')],
        [("f", "{}"), ("g", '{"b":2}')],
    ),
    "neither index nor id": ([(None, None, "f", "{}"), (None, None, "g", "{}")], [("f", "{}"), ("g", "{}")]),
    "same call twice without ids": ([(0, None, "f", "{}"), (0, None, "f", "{}")], [("f", "{}"), ("f", "{}")]),
    "indexes from 1": ([(1, "c0", "f", "{}"), (2, "c1", "g", "{}")], [("f", "{}"), ("g", "{}")]),
    "indexes with gaps": ([(7, "c0", "f", "{}"), (3, "c1", "g", "{}")], [("f", "{}"), ("g", "{}")]),
    "id in every piece": (
        [(0, "c0", "f", ""), (0, "c0", "", '{"a"'), (0, "c0", "", ":1}")],
        [("f", '{"a":1}')],
    ),
    "name in every piece": (
        [(0, "c0", "f", ""), (0, None, "f", '{"a"'), (0, None, "f", ":1}"), (0, None, "f", "")],
        [("f", '{"a":1}')],
    ),
    "name in pieces": ([(0, "c0", "get_", ""), (0, None, "weather", ""), (0, None, "", "{}")], [("get_weather", "{}")]),
    "id after the name": ([(0, None, "f", ""), (0, "c0", "", "{}")], [("f", "{}")]),
    "empty ids": ([(0, "", "f", ""), (0, "", "", "{}")], [("f", "{}")]),
    "pieces of two calls by turns": (
        [
            (0, "c0", "f", ""),
            (1, "c1", "g", ""),
            (0, None, "", "{"),
            (1, None, "", "{"),
            (0, None, "", "}"),
            (1, None, "", "}"),
        ],
        [("f", "{}"), ("g", "{}")],
    ),
    "no arguments": ([(0, "c0", "f", ""), (1, "c1", "g", "")], [("f", ""), ("g", "")]),
    "one index, no ids, no arguments": ([(0, None, "f", ""), (0, None, "g", "")], [("f", ""), ("g", "")]),
    "one index, no ids, cut off": ([(0, None, "f", '{"a"'), (0, None, "g", "{}")], [("f", '{"a"'), ("g", "{}")]),
    "name in pieces that are names": (
        [(0, None, "get_", ""), (0, None, "g", ""), (0, None, "", "{}")],
        [("get_g", "{}")],
    ),
    "filler": ([(0, None, "", ""), (0, "c0", "f", "{}"), (0, None, "", "")], [("f", "{}")]),
}


@pytest.mark.parametrize(("wire", "calls"), WIRES.values(), ids=WIRES)
def test_calls_are_distinguished_and_numbered_from_0(wire: list[Piece], calls: list[tuple[str, str]]) -> None:
    pieces = CallPieces({"f", "g", "get_", "get_g", "get_weather"})

    deltas = [delta for piece in wire for delta in pieces.add(*piece)] + [*pieces.finish()]

    assert _joined(deltas) == calls
    assert pieces.has_any


@pytest.mark.parametrize("wire", [wire for wire, _ in WIRES.values()], ids=WIRES)
def test_name_is_yielded_once_and_first(wire: list[Piece]) -> None:
    pieces = CallPieces()

    deltas = [delta for piece in wire for delta in pieces.add(*piece)] + [*pieces.finish()]

    for index in {delta.index for delta in deltas}:
        first, *others = [delta for delta in deltas if delta.index == index]
        assert first.name
        assert all(delta.name is None for delta in others)
    assert [delta.index for delta in deltas if delta.name] == sorted({delta.index for delta in deltas})


def test_call_without_name_is_rejected() -> None:
    pieces = CallPieces()

    with pytest.raises(ModelStreamBroken):
        list(pieces.add(0, "c0", "", "{}"))


def _joined(deltas: list[CallDelta]) -> list[tuple[str, str]]:
    indexes = sorted({delta.index for delta in deltas})
    of_call = [[delta for delta in deltas if delta.index == index] for index in indexes]
    return [("".join(d.name or "" for d in call), "".join(d.arguments for d in call)) for call in of_call]
