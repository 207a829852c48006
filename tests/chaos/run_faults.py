"""The faults of one run: its stored rows compared with its client's actions and its model's answers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from activities.tools.code_interpreter import LOST
from activities.tools.code_sessions import RESTARTED
from infra.clock import MS_PER_SECOND
from infra.database.columns import AnyRow
from infra.database.tool_calls import to_call
from models.citations import marker, result_number
from models.run_steps import StepType
from models.runs import RunStatus
from models.tool_calls import ToolKind
from models.tool_formats.file_search import HOW_TO_CITE
from models.tool_formats.formats import FORMATS
from tests.chaos.ledgers import Ledger
from tests.chaos.runs import ChaosRun, output_of
from tests.chaos.scripts import HANDBOOK, PASSAGE
from tests.chaos.stored import StoredRun

BESIDE_SECONDS = 0.5
"""Two attempts may run beside each other, if a worker is wrongly believed to be dead."""

THAWED_SECONDS = 5.0
CODE_OUTPUT = re.compile(rf"(?:{re.escape(RESTARTED)})?(?:began\nended 1\n|(?:began\n)?{re.escape(LOST)})")


def faults_of(run: ChaosRun, found: Sequence[StoredRun]) -> list[str]:
    if len(found) != 1:
        return [f"{len(found)} runs are stored"]
    [stored] = found
    faults = [*run.faults, *_ending_faults(run, stored), *_turn_faults(run, stored), *_message_faults(run, stored)]
    if run.plan.streams:
        faults += stream_faults(run.ledger, stored)
    return faults


def repeated_searches(
    run: ChaosRun, stored: StoredRun, asked: Mapping[str, Sequence[float]], thawed: Sequence[float]
) -> list[str]:
    """Searches that were made again after their result was stored. `asked` has the times of each query.

    A worker that was frozen in the middle of one goes on with it: it began before.
    """
    faults = []
    for call in stored.calls:
        if call.type != ToolKind.FILE_SEARCH or call.result is None:
            continue
        stored_at = call.finished_at / MS_PER_SECOND
        for at in asked.get(run.script.query(call.turn, call.position), ()):
            is_thawed = any(0 <= at - thaw < THAWED_SECONDS for thaw in thawed)
            if at > stored_at + BESIDE_SECONDS and not is_thawed:
                faults.append(f"call {call.id} was run again {at - stored_at:.1f} s after its result was stored")
    return faults


def stream_faults(ledger: Ledger, stored: StoredRun) -> list[str]:
    faults = list(ledger.faults)
    if ledger.ended_as != f"thread.run.{stored.row.status}":
        faults.append(f"its stream ends with {ledger.ended_as}")
    for message in stored.messages:
        if message.run_id != stored.row.id:
            continue
        seen = ledger.messages.get(message.id)
        if seen is None or seen.closed_as is None:
            faults.append(f"its stream does not bring message {message.id} to its end")
        elif seen.text != stored_text(message.content):
            faults.append(f"its stream says {seen.text!r}, stored is {stored_text(message.content)!r}")
    return faults


def stored_text(content: Sequence[Any]) -> str:
    return "".join(part["text"]["value"] for part in content)


def _ending_faults(run: ChaosRun, stored: StoredRun) -> list[str]:
    allowed = {RunStatus.COMPLETED, RunStatus.CANCELLED} if run.is_cancelled else {RunStatus.COMPLETED}
    faults = [] if stored.row.status in allowed else [f"is {stored.row.status}: {stored.row.last_error}"]
    turns = [turn.turn for turn in stored.turns]
    if turns != list(range(len(turns))):
        faults.append(f"has turns {turns}")
    if stored.row.status == RunStatus.COMPLETED and len(turns) != len(run.script.turns):
        faults.append(f"is completed after {len(turns)} of {len(run.script.turns)} turns")
    return faults


def _turn_faults(run: ChaosRun, stored: StoredRun) -> list[str]:
    faults = []
    answered: list[str] = []
    for turn in stored.turns:
        said = _said(stored, turn.turn)
        calls = run.script.of_turn(turn.turn)
        numbers = [call.number for call in calls if _script_says(run, turn.turn, call.number) == said]
        if len(numbers) != 1:
            faults.append(f"turn {turn.turn} is stored as {said}, which the model never said")
            continue
        if later := [call.number for call in calls if call.number > numbers[0]]:
            faults.append(f"turn {turn.turn} was asked again (calls {later}) though call {numbers[0]} is stored")
        for call in calls:
            if list(call.outputs) != answered:
                faults.append(f"call {call.number} got the outputs {call.outputs}, not {answered}")
        if run.script.turns[turn.turn].functions:
            faults += _call_faults(run, stored, turn.turn)
            answered += [_expected(call) for call in stored.calls if call.turn == turn.turn]
    return faults


def _call_faults(run: ChaosRun, stored: StoredRun, turn: int) -> list[str]:
    calls = [call for call in stored.calls if call.turn == turn]
    faults = []
    functions = [call.id for call in calls if not _is_server_call(call)]
    asked = [list(ids) for ids in run.asked if list(ids) == functions]
    if len(asked) > 1 or (functions and not asked and stored.row.status == RunStatus.COMPLETED):
        faults.append(f"the calls of turn {turn} were asked for {len(asked)} times")
    steps = [step for step in stored.steps if step.turn == turn and step.type == StepType.TOOL_CALLS]
    if len(steps) != 1:
        faults.append(f"turn {turn} has {len(steps)} steps of tool calls")
    outputs = {_output(call) for call in calls if _output(call) != _expected(call)}
    if outputs and (stored.row.status == RunStatus.COMPLETED or outputs != {None}):
        faults.append(f"the calls of turn {turn} have the outputs {outputs}")
    return faults


def _is_server_call(call: AnyRow) -> bool:
    return ToolKind(call.type).is_run_by_server


def _output(call: AnyRow) -> str | None:
    """None while the call has no output or result."""
    made = to_call(call)
    return FORMATS[made.kind].output_for_model(made) if made.is_answered else None


def _expected(call: AnyRow) -> str:
    if call.type == ToolKind.CODE_INTERPRETER:
        put_out = _output(call) or ""
        # It ran once, or is said to be lost.
        return put_out if CODE_OUTPUT.fullmatch(put_out) else "began\nended 1\n"
    if _is_server_call(call):
        shown = marker(call.turn, result_number(call.position, 0), HANDBOOK)
        return f"{shown}\n{PASSAGE}\n\n{HOW_TO_CITE.format(marker=shown)}"
    return output_of(call.arguments)


def _message_faults(run: ChaosRun, stored: StoredRun) -> list[str]:
    question, answers = stored.messages[:1], stored.messages[1:]
    if [(message.role, stored_text(message.content)) for message in question] != [("user", run.question)]:
        return ["the thread does not begin with the question"]
    if stored.row.status == RunStatus.COMPLETED:
        # Its text was compared with the model's calls.
        return [] if len(answers) == 1 else [f"the thread has {len(answers)} answers"]
    partial = [stored_text(message.content) for message in answers]
    last = len(run.script.turns) - 1
    texts = [run.script.text(last, call.number) for call in run.script.of_turn(last)]
    if len(partial) > 1 or any(not any(text.startswith(words) for text in texts) for words in partial):
        return [f"a cancelled run left {partial}"]
    return []


def _said(stored: StoredRun, turn: int) -> list[str]:
    """The turn's answer: its calls' arguments, or its text."""
    if calls := [call.arguments for call in stored.calls if call.turn == turn]:
        return calls
    ids = {step.message_id for step in stored.steps if step.turn == turn}
    return [stored_text(message.content) for message in stored.messages if message.id in ids]


def _script_says(run: ChaosRun, turn: int, number: int) -> list[str]:
    return run.script.arguments(turn, number) if run.script.turns[turn].functions else [run.script.text(turn, number)]
