"""The seams between Holdfast and what it stands on. Each port has two or more real implementations in this package."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from models.events import Event
from models.language_model import ModelDelta, ModelRequest


class LanguageModel(Protocol):
    """A model that answers in a stream.

    Implementations never retry by themselves (Temporal owns retries) and translate every vendor error into a
    `infra.language_model.errors.ModelCallFailed`.
    """

    async def prepare(self) -> None:
        """Load what the first call needs, so that it need not wait. May take seconds; a second call does nothing."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        """Yield the answer piece by piece; the last piece is a `Finish`. Closing the iterator ends the call.

        Raises a subclass of `ModelCallFailed` before or between pieces; a stream that breaks off without its end is
        `ModelStreamBroken`, never a shortened answer.
        """
        ...

    async def context_window_tokens(self, model: str) -> int | None:
        """How many tokens of prompt the model takes, None where nobody knows."""
        ...

    async def count_tokens(self, model: str, text: str) -> int:
        """Tokens of `text` for `model`: exact where its tokenizer is at hand, otherwise a close estimate."""
        ...


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in their order, numbered without a gap from `first` on."""

    first: int
    events: Sequence[Event]

    @property
    def following(self) -> int:
        """The number after the last."""
        return self.first + len(self.events)


NO_EVENTS = EventBatch(0, ())


class EventStream(Protocol):
    """The events of runs while they happen, from one writer at a time to any number of readers.

    Who shows what no commit has told yet says which writer it is: one that was replaced and does not know it adds
    nothing. What a commit tells has its numbers from the database, and needs no writer's leave.

    It keeps events for a while, not for good: what it no longer has, the database tells
    (`models/event_history.py`). So nothing here ever fails a run: where a store does not answer, events are left out.
    """

    async def append(self, run_id: str, first: int, events: Sequence[Event], writer: int | None = None) -> bool:
        """Add events, numbered from `first` on. False, and none added, where `writer` was replaced or they are taken.

        A stream that writes in the background says so at the writer's next append, if it says it at all.
        """
        ...

    async def take_over(self, run_id: str, writer: int) -> int:
        """Replace the run's writers of a smaller number by this one. Returns what `following` does, as it is then."""
        ...

    async def read(self, run_id: str, after: int, wait: timedelta, limit: int) -> EventBatch:
        """Up to `limit` events after number `after`; waits for the first of them, at most as long as `wait`.

        The batch may begin later than asked for, where what comes before is no longer, or was never, kept.
        """
        ...

    async def following(self, run_id: str) -> int:
        """The number after the last event that was appended; 0 where none is known."""
        ...

    def awaiting(self, run_id: str) -> AbstractContextManager[asyncio.Future[None]]:
        """A future that is done once one of `models.events.RESTS` is appended, from the beginning of the block on.

        Where the store does not answer it is done at once, and where it has just failed, it may never be: wait with
        a time limit, and ask the database.
        """
        ...
