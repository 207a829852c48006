"""The ledger reports each kind of inconsistent stream as a fault."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.chaos.ledgers import Ledger
from tests.sse import Sent

ENDED = Sent("thread.run.completed", "{}", 9)


def delta(words: str, number: int | None = None, message: str = "msg_1") -> Sent:
    content = [{"index": 0, "type": "text", "text": {"value": words}}]
    return Sent("thread.message.delta", json.dumps({"id": message, "delta": {"content": content}}), number)


def closed(text: str, number: int | None = None, name: str = "completed") -> Sent:
    content: list[Any] = [{"type": "text", "text": {"value": text}}]
    return Sent(f"thread.message.{name}", json.dumps({"id": "msg_1", "content": content}), number)


def taken(*events: Sent) -> Ledger:
    ledger = Ledger()
    for event in events:
        ledger.take(event)
    return ledger


def test_a_true_story_has_no_fault() -> None:
    ledger = taken(delta("Once "), delta("upon"), closed("Once upon", 7), ENDED)

    assert (ledger.faults, ledger.last, ledger.ended_as) == ([], 9, "thread.run.completed")
    assert ledger.messages["msg_1"].text == "Once upon"


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        pytest.param([delta("a", 3), delta("b", 3)], "came after event 3", id="the same number"),
        pytest.param([delta("a", 3), delta("b", 2)], "came after event 3", id="a lower number"),
        pytest.param([delta("a", 3), closed("ab", 4)], "its deltas say 'a'", id="a lost delta"),
        pytest.param([delta("a", 3), delta("a", 4), closed("a", 5)], "its deltas say 'aa'", id="a repeated delta"),
        pytest.param([closed("", 3), delta("a", 4)], "after it was closed", id="more of a closed message"),
        pytest.param([closed("", 3), closed("", 4, "incomplete")], "after it was closed", id="closed twice"),
        pytest.param([ENDED, Sent("thread.run.completed", "{}", 10)], "came after thread.run", id="ended twice"),
    ],
)
def test_an_untrue_story_is_a_fault(events: Sequence[Sent], fault: str) -> None:
    assert fault in "".join(taken(*events).faults)


def test_counting_client_may_see_events_again_but_takes_none_twice() -> None:
    ledger = taken(delta("a"), delta("b"), delta("a", 1_000_000), delta("b", 1_000_001), delta("c", 1_000_002))

    assert (ledger.messages["msg_1"].text, ledger.repeats, ledger.faults) == ("abc", 2, [])
