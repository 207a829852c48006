"""The chaos suite reports each way in which a run can go wrong as a fault."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from activities.tools.code_interpreter import LOST
from activities.tools.code_sessions import RESTARTED
from tests.chaos.clients import PatientClient
from tests.chaos.run_faults import CODE_OUTPUT, faults_of, repeated_searches
from tests.chaos.runs import ChaosRun, Plan, output_of
from tests.chaos.scripts import ModelCall, Script, Turn
from tests.chaos.stored import StoredRun

Change = Callable[[ChaosRun, StoredRun], object]


@pytest.fixture
def run() -> ChaosRun:
    """It was asked for outputs, and was asked again for its text, as the first call of that was lost."""
    script = Script("model", [Turn(functions=["f"]), Turn()])
    [arguments] = script.arguments(0, 0)
    outputs = (output_of(arguments),)
    script.calls += [ModelCall(0, 0, ()), ModelCall(1, 1, outputs), ModelCall(2, 1, outputs)]
    made = ChaosRun(PatientClient(["http://nowhere"], seed=0), "asst", script, Plan("tools"))
    made.asked.append({"call_1": arguments})
    return made


@pytest.fixture
def stored(run: ChaosRun) -> StoredRun:
    [arguments] = run.script.arguments(0, 0)
    call = function_row(id="call_1", arguments=arguments, output=output_of(arguments))
    steps = [row(turn=0, type="tool_calls"), row(turn=1, type="message_creation", message_id="msg_2")]
    messages = [said("msg_1", "user", run.question), said("msg_2", "assistant", run.script.text(1, 2))]
    return StoredRun(row(status="completed", last_error=None), [row(turn=0), row(turn=1)], steps, [call], messages)


def row(**columns: Any) -> Any:
    """Stands in for a row of the database, and can be changed."""
    return SimpleNamespace(**columns)


def function_row(**columns: Any) -> Any:
    return row(
        turn=0,
        position=0,
        type="function",
        name="f",
        options=None,
        result=None,
        result_event=None,
        cell=None,
        **columns,
    )


def said(message_id: str, role: str, text: str) -> Any:
    return row(id=message_id, role=role, content=[{"text": {"value": text}}], run_id=None)


def test_a_run_that_went_well_has_no_fault(run: ChaosRun, stored: StoredRun) -> None:
    assert faults_of(run, [stored]) == []


@pytest.mark.parametrize("found", [0, 2])
def test_a_run_that_is_lost_or_done_twice_is_a_fault(run: ChaosRun, stored: StoredRun, found: int) -> None:
    assert faults_of(run, [stored] * found) == [f"{found} runs are stored"]


def twice(items: Any) -> None:
    items.append(items[-1])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param(lambda _, s: setattr(s.row, "status", "cancelled"), "is cancelled", id="cancelled unasked"),
        pytest.param(lambda _, s: s.turns.pop(), "after 1 of 2 turns", id="a turn left out"),
        pytest.param(lambda _, s: twice(s.turns), "has turns [0, 1, 1]", id="a turn twice"),
        pytest.param(lambda _, s: twice(s.messages), "2 answers", id="an answer twice"),
        pytest.param(lambda _, s: s.messages.reverse(), "with the question", id="messages out of order"),
        pytest.param(lambda r, _: twice(r.asked), "asked for 2 times", id="calls asked for twice"),
        pytest.param(lambda r, _: r.asked.clear(), "asked for 0 times", id="calls never asked for"),
        pytest.param(lambda _, s: setattr(s.calls[0], "output", "other"), "have the outputs", id="another output"),
        pytest.param(lambda _, s: setattr(s.calls[0], "output", None), "have the outputs", id="no output"),
        pytest.param(lambda _, s: s.steps.append(s.steps[0]), "2 steps of tool calls", id="a step twice"),
        pytest.param(
            lambda _, s: s.messages.__setitem__(1, said("msg_2", "assistant", "model turn1")),
            "the model never said",
            id="half an answer",
        ),
        pytest.param(
            lambda r, _: r.script.calls.append(ModelCall(3, 1, r.script.calls[1].outputs)),
            "was asked again (calls [3])",
            id="a stored answer asked for again",
        ),
        pytest.param(
            lambda r, _: r.script.calls.__setitem__(1, ModelCall(1, 1, ())), "got the outputs", id="outputs lost"
        ),
    ],
)
def test_what_went_wrong_is_a_fault(run: ChaosRun, stored: StoredRun, change: Change, fault: str) -> None:
    change(run, stored)

    assert fault in "; ".join(faults_of(run, [stored]))


@pytest.mark.parametrize(
    ("asked_at", "thawed", "is_right"),
    [
        # Lost before its result was stored, at 100; made again beside another attempt; by a worker that was frozen.
        ([99.0, 99.9], [], True),
        ([99.0, 100.2], [], True),
        ([99.0, 130.0], [128.0], True),
        ([99.0, 101.0], [], False),
        ([99.0, 130.0], [120.0, 131.0], False),
    ],
)
def test_search_that_is_made_after_its_result_is_a_fault(
    run: ChaosRun, stored: StoredRun, asked_at: list[float], thawed: list[float], is_right: bool
) -> None:
    searched = row(id="call_2", type="file_search", turn=0, position=1, result={"type": "hits"}, finished_at=100_000)
    unfinished = row(id="call_3", type="file_search", turn=0, position=2, result=None, finished_at=None)
    stored = replace(stored, calls=[*stored.calls, searched, unfinished])
    asked = {run.script.query(0, 1): asked_at, run.script.query(0, 2): [500.0]}

    faults = repeated_searches(run, stored, asked, thawed)

    assert [fault.split(" s after")[0] for fault in faults] == (
        [] if is_right else [f"call call_2 was run again {asked_at[1] - 100:.1f}"]
    )


@pytest.mark.parametrize(
    ("put_out", "is_right"),
    [
        ("began\nended 1\n", True),
        (f"{RESTARTED}began\nended 1\n", True),
        (f"began\n{LOST}", True),
        (LOST, True),
        ("began\nended 2\n", False),
        ("began\nbegan\nended 1\n", False),
        ("began\n", False),
        ("", False),
    ],
)
def test_code_runs_once_or_is_said_to_be_lost(put_out: str, is_right: bool) -> None:
    assert (CODE_OUTPUT.fullmatch(put_out) is not None) == is_right
