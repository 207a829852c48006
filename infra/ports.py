"""The seams between Holdfast and the systems that it uses. Each port has two or more real implementations here."""

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
        """How many tokens of prompt the model takes, None where that is not known."""
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

    Events that no commit has numbered carry the fencing token of their attempt; appends with an old token are rejected.
    Events of a commit are numbered by the database and need no token.

    Events are kept for a while, not for good: the database replays those that are gone (`models/event_replay.py`). So a
    stream never fails a run: where its store does not answer, events are left out.
    """

    async def append(self, run_id: str, first: int, events: Sequence[Event], fencing_token: int | None = None) -> bool:
        """Add events, numbered from `first` on. False, and none added, where the token is old or a number is taken.

        A stream that writes in the background reports a rejection with the token's next append, if there is one.
        """
        ...

    async def flush(self, run_id: str) -> None:
        """Return once the run's events appended in this process can be read in every process.

        Waits for a second at most, and not at all where the store is known to be away.
        """
        ...

    async def fence(self, run_id: str, fencing_token: int) -> int:
        """Reject appends with smaller tokens from now on. Returns what `following` returns at that moment."""
        ...

    async def read(self, run_id: str, after: int, wait: timedelta, limit: int) -> EventBatch:
        """Up to `limit` events after number `after`; waits for the first of them, at most as long as `wait`.

        The batch may begin later than asked for, where the events before it are not kept any more or never were.
        """
        ...

    async def following(self, run_id: str) -> int:
        """The number after the last event that was appended; 0 where none is known."""
        ...

    def awaiting(self, run_id: str) -> AbstractContextManager[asyncio.Future[None]]:
        """A future that is done once one of `models.events.PAUSES_OR_ENDS` is appended after the block has begun.

        It is done at once where the store does not answer, and may never be done where the store has just failed: wait
        with a time limit, and ask the database.
        """
        ...
