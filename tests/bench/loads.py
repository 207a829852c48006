"""A driver's load and its observations. Both are passed between processes as JSON."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

POLL_SECONDS = 0.02


class Flow(StrEnum):
    """Thread, message and run are three requests in all flows but `MODEL_STREAM`, which calls the model itself."""

    PLAIN_POLLS = "plain_polls"
    """Polls 20 ms after each answer. Holdfast holds the rapid ones for a moment; the floor answers each at once."""
    LONG_POLLS = "long_polls"
    """Polls as the SDKs' poll helpers send them."""
    TOOL_CALL = "tool_call"
    """With a function call that is answered at once; plain polls."""
    STREAM = "stream"
    MODEL_STREAM = "model_stream"


@dataclass(frozen=True)
class Load:
    """A number of clients, each of which begins its next run when its last has ended, until the time is up."""

    flow: Flow
    clients: int
    model: str
    seconds: float
    runs_each: int = 100_000
    warm_up_runs: int = 4
    """What is done once, like the server's first connection to the model, belongs to no measurement."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        return cls(**{**fields, "flow": Flow(fields["flow"])})


@dataclass(frozen=True)
class Observed:
    """Seconds from the request of each run to its first delta (streams only) and to its end, and the total duration."""

    runs: list[float]
    first_deltas: list[float]
    elapsed: float

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))

    @classmethod
    def joined(cls, rounds: list[Self]) -> Self:
        return cls(
            [seconds for each in rounds for seconds in each.runs],
            [seconds for each in rounds for seconds in each.first_deltas],
            sum(each.elapsed for each in rounds),
        )

    @property
    def runs_per_second(self) -> float:
        return len(self.runs) / self.elapsed
