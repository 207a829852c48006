"""Errors about a thread and its runs. Programs match the texts, which are OpenAI's.

InvalidRequest           400
├── ThreadLocked         a run is active on the thread
├── ThreadQueueFull      too many messages or runs wait for the active run
├── ThreadFull           the thread holds as many messages as it can
├── ToolOutputsMismatch
└── UnusableToolChoice
"""

from collections.abc import Sequence

from models.errors import InvalidRequest
from models.ids import MAX_LENGTH

MAX_PRINTED_IDS = 20


class ThreadLocked(InvalidRequest):
    @classmethod
    def for_message(cls, thread_id: str, run_id: str) -> "ThreadLocked":
        return cls(f"Can't add messages to {thread_id} while a run {run_id} is active.")

    @classmethod
    def for_run(cls, thread_id: str, run_id: str) -> "ThreadLocked":
        return cls(f"Thread {thread_id} already has an active run {run_id}.")

    @classmethod
    def for_reset(cls, run_id: str) -> "ThreadLocked":
        return cls(
            f"Run {run_id} can't be resumed while another run is active on its thread: wait for it or cancel it."
        )

    @classmethod
    def for_retry(cls) -> "ThreadLocked":
        return cls("Cannot retry run while another run is active on its thread: wait for that or cancel it.")


class ThreadQueueFull(InvalidRequest):
    def __init__(self, thread_id: str, limit: int, what: str) -> None:
        super().__init__(f"At most {limit} {what} may wait for the active run of thread {thread_id}.")


class ThreadFull(InvalidRequest):
    def __init__(self, limit: int) -> None:
        super().__init__(f"A thread holds at most {limit} messages. Delete some, or go on in a new thread.")


class ToolOutputsMismatch(InvalidRequest):
    """Outputs are missing, unknown or given twice; the text lists both sets, up to a limit."""

    def __init__(self, expected: Sequence[str], got: Sequence[str]) -> None:
        super().__init__(f"Expected tool outputs for call_ids {_printed(expected)}, got {_printed(got)}")


def _printed(ids: Sequence[str]) -> str:
    first = [each if len(each) <= MAX_LENGTH else f"{each[:MAX_LENGTH]}…" for each in ids[:MAX_PRINTED_IDS]]
    others = len(ids) - len(first)
    return f"{first} and {others} more" if others else str(first)


class UnusableToolChoice(InvalidRequest):
    """A forced tool choice that the run's tools do not allow. The texts are those of chat completions."""

    @classmethod
    def without_tools(cls) -> "UnusableToolChoice":
        return cls.because("'tool_choice' is only allowed when 'tools' are specified.")

    @classmethod
    def of_unknown_function(cls, name: str) -> "UnusableToolChoice":
        return cls.because(f"no function named {name} was specified in the 'tools' parameter.")

    @classmethod
    def of_missing_tool(cls, kind: str) -> "UnusableToolChoice":
        return cls.because(f"no tool of type {kind} was specified in the 'tools' parameter.")

    @classmethod
    def because(cls, reason: str) -> "UnusableToolChoice":
        return cls(f"Invalid value for 'tool_choice': {reason}", "tool_choice")
