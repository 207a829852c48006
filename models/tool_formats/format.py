"""What a kind of tool call looks like: to the model, in steps, and in streams. Pure; one implementation a kind."""

from collections.abc import Sequence
from typing import Protocol

from models.events import Event
from models.run_steps import StepToolCall
from models.tool_calls import ToolCall


class InputReader(Protocol):
    """Reads what streams show of a call out of the pieces of its arguments, however they are cut."""

    def mend(self, piece: str) -> str: ...

    def rest(self) -> str:
        """What was held back, after the last piece."""
        ...


class ToolFormat(Protocol):
    """The events of a call are functions of the stored call: so a replay has the same ones as the stream."""

    def step_call(self, call: ToolCall, with_content: bool = False) -> StepToolCall:
        """The call in its step's details; `with_content`: with what only `include[]` shows."""
        ...

    def opened(self, step_id: str, call: ToolCall) -> Event:
        """The first delta of a call, before its arguments are known."""
        ...

    def reader(self) -> InputReader:
        """Reads one call's `shown_input`: the concatenation of all that it returns."""
        ...

    def shown_input(self, call: ToolCall) -> str:
        """The text of all `input_deltas`; empty if streams do not show the input of such calls."""
        ...

    def input_deltas(self, step_id: str, call: ToolCall, piece: str) -> Sequence[Event]:
        """One delta for a piece of the shown input."""
        ...

    def progress_deltas(self, step_id: str, call: ToolCall) -> Sequence[tuple[int, Event]]:
        """The deltas that showed a part of the result before it was stored, with their numbers."""
        ...

    def result_deltas(self, step_id: str, call: ToolCall) -> Sequence[Event]:
        """The other deltas of the result, emitted when it is stored."""
        ...

    def output_for_model(self, call: ToolCall) -> str:
        """The result as the next turn's prompt has it."""
        ...


class NothingShown:
    """The reader of calls whose input streams do not show."""

    def mend(self, piece: str) -> str:
        return ""

    def rest(self) -> str:
        return ""


class ShownWhenClosed:
    """The part of a `ToolFormat` for calls of which streams show neither input nor result: the closed step has them."""

    def reader(self) -> NothingShown:
        return NothingShown()

    def shown_input(self, call: ToolCall) -> str:
        return ""

    def input_deltas(self, step_id: str, call: ToolCall, piece: str) -> Sequence[Event]:
        return ()

    def progress_deltas(self, step_id: str, call: ToolCall) -> Sequence[tuple[int, Event]]:
        return ()

    def result_deltas(self, step_id: str, call: ToolCall) -> Sequence[Event]:
        return ()
