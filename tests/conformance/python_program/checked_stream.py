"""A stream as sent, with every event checked against the class into which the SDK reads it."""

import json
from collections.abc import Callable
from typing import Any, get_args

from openai.types.beta import AssistantStreamEvent

# The SDK's own class of an error event has the flat form, which makes no release raise.
UNTYPED = {"error", "done"}
EVENT_CLASSES: dict[str, Any] = {
    get_args(each.model_fields["event"].annotation)[0]: each for each in get_args(get_args(AssistantStreamEvent)[0])
}


class CheckedStream:
    """`keepalives` counts the comments so far. `find` returns the violations of an event."""

    def __init__(self, find: Callable[[Any, str], list[str]], violations: list[str]) -> None:
        self._find = find
        self._violations = violations
        self._unread = b""
        self.keepalives = 0

    def checked(self, chunk: bytes) -> bytes:
        """The chunk itself, once the events that end in it are checked."""
        *blocks, self._unread = (self._unread + chunk).split(b"\n\n")
        for block in blocks:
            self._check(block.decode())
        return chunk

    def _check(self, block: str) -> None:
        if block == ": keepalive":
            self.keepalives += 1
            return
        event, data = block.split("\n")
        name = event.removeprefix("event: ")
        if name in UNTYPED:
            return
        if name not in EVENT_CLASSES:
            self._violations.append(f"the SDK does not know {name}")
            return
        text = json.dumps({"event": name, "data": json.loads(data.removeprefix("data: "))})
        self._violations += self._find(EVENT_CLASSES[name], text)
