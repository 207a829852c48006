"""The events that a client received over all its reconnects, and whether they are consistent."""

from dataclasses import dataclass, field
from typing import Any

from models.events import ENDED, MESSAGE_CREATED, MESSAGE_DELTA, PAUSED
from tests.sse import Sent

MESSAGE_CLOSED = ("thread.message.completed", "thread.message.incomplete")


@dataclass
class SeenMessage:
    """A message as its events describe it. `closed_as` is the object of its last event."""

    text: str = ""
    closed_as: Any = None


@dataclass
class Ledger:
    """`last` is the number of the newest event; `faults` lists inconsistencies."""

    last: int = -1
    messages: dict[str, SeenMessage] = field(default_factory=dict)
    ended_as: str = ""
    faults: list[str] = field(default_factory=list)
    repeats: int = 0
    _is_counted: bool = True
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def take(self, event: Sent) -> bool:
        """Note one event; the SDKs' streams give it no number, then it is counted. False where it is a repeat.

        A client that counts may see events again, because a lost answer leaves out numbers; it never misses one. A
        client that reads numbers sees each event once.
        """
        number = self.last + 1 if event.number is None else event.number
        if number <= self.last:
            self.faults.append(f"event {number} {event.name} came after event {self.last}")
        is_counted, self._is_counted = self._is_counted, event.number is None
        self.last = number
        if is_counted and not self._is_counted and (event.name, event.data) in self._seen:
            self._is_counted = True
            self.repeats += 1
            return False
        self._seen.add((event.name, event.data))
        self._follow(event)
        return True

    def _follow(self, event: Sent) -> None:
        if self.ended_as:
            self.faults.append(f"{event.name} came after {self.ended_as}")
        if event.name in ENDED:
            self.ended_as = event.name
        elif event.name.startswith("thread.message."):
            self._follow_message(event)

    def _follow_message(self, event: Sent) -> None:
        message = self.messages.setdefault(event.json["id"], SeenMessage())
        if message.closed_as is not None:
            self.faults.append(f"{event.name} of {event.json['id']} came after it was closed")
        if event.name == MESSAGE_CREATED and message.text:
            self.faults.append(f"{event.json['id']} was created again")
        if event.name == MESSAGE_DELTA:
            message.text += "".join(part["text"]["value"] for part in event.json["delta"]["content"])
        elif event.name in MESSAGE_CLOSED:
            message.closed_as = event.json
            if (final := text_of(event.json)) != message.text:
                self.faults.append(f"{event.json['id']} is closed with {final!r} but its deltas say {message.text!r}")


def text_of(message: Any) -> str:
    return "".join(part["text"]["value"] for part in message["content"])


def is_paused(event: Sent) -> bool:
    return event.name == PAUSED
