"""The model of one run: its answers all differ, so that a stored answer identifies its call."""

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.provider.exchange import BrokenOff, Exchange
from tests.provider.replies import Calls, Says
from tests.provider.signals import Signal

FUNCTIONS = ("get_weather", "get_time", "get_rates")
SEARCH = "file_search"
CODE = "python"
"""The tools that the server runs."""

CODE_SECONDS = 5
# A file of its own for each call, so that the code of one that ran twice says so.
CODE_TEXT = """import time
with open("/mnt/data/{name}", "a") as ran:
    ran.write("x")
print("began", flush=True)
time.sleep({seconds})
print("ended", len(open("/mnt/data/{name}").read()))"""

HANDBOOK, PASSAGE = "handbook.md", "Employees get twenty-five days of paid vacation each year."


@dataclass(frozen=True)
class Turn:
    """One answer: calls of `functions` in parallel, `SEARCH` among them, or else `words`, each after a pause.

    The last word or the calls come once `gate` is open.
    """

    functions: Sequence[str] = ()
    words: int = 8
    pause_seconds: float = 0.0
    gate: Signal | None = None


@dataclass
class ModelCall:
    """One request for the run's model. `number` counts them in the order in which they came, from 0.

    `is_cut` if the client went away before the answer was complete. `at` is on the monotonic clock.
    """

    number: int
    turn: int
    outputs: tuple[str, ...]
    is_answered: bool = False
    is_cut: bool = False
    at: float = field(default_factory=time.monotonic)


class Script:
    """A reply to every request of one run; the request itself contains the turn."""

    def __init__(self, model: str, turns: Sequence[Turn]) -> None:
        self.model = model
        self.turns = turns
        self.calls: list[ModelCall] = []
        self.held = Signal()

    def text(self, turn: int, number: int) -> str:
        return " ".join((f"{self.model}", f"turn{turn}", f"call{number}", *self._words(turn)))

    def query(self, turn: int, position: int) -> str:
        """What the search at a place in a turn's calls looks for: its own, so that it is known when it is made."""
        return f"days of vacation, asks {self.model} {turn}-{position}"

    def queries(self, turn: int) -> list[str]:
        """Of all searches of a turn."""
        names = enumerate(self.turns[turn].functions)
        return [self.query(turn, position) for position, name in names if name == SEARCH]

    def arguments(self, turn: int, number: int) -> list[str]:
        """Of each function of the turn, in their order."""
        asked = {"model": self.model, "turn": turn, "call": number}
        names = enumerate(self.turns[turn].functions)
        return [json.dumps(asked | self._own(name, turn, position)) for position, name in names]

    def _own(self, name: str, turn: int, position: int) -> dict[str, Any]:
        if name == CODE:
            return {"code": CODE_TEXT.format(name=f"{turn}-{position}", seconds=CODE_SECONDS)}
        return {"queries": [self.query(turn, position)]} if name == SEARCH else {"city": name}

    def of_turn(self, turn: int) -> list[ModelCall]:
        return [call for call in self.calls if call.turn == turn]

    async def send(self, exchange: Exchange) -> None:
        call = self._note(exchange.body["messages"])
        turn = self.turns[call.turn]
        words = [] if turn.functions else re.findall(r"\S+ ?", self.text(call.turn, call.number))
        for word in words[:-1]:
            await exchange.delta({"content": word})
            await asyncio.sleep(turn.pause_seconds)
        if turn.gate is not None:
            self.held.set()
            await self._until(turn.gate, exchange, call)
        calls = zip(turn.functions, self.arguments(call.turn, call.number), strict=True)
        await (Calls(*calls) if turn.functions else Says(words[-1])).send(exchange)
        call.is_answered = True

    async def _until(self, gate: Signal, exchange: Exchange, call: ModelCall) -> None:
        try:
            await exchange.until(gate)
        except BrokenOff:
            call.is_cut = True
            raise

    def _note(self, messages: Sequence[Mapping[str, Any]]) -> ModelCall:
        turn = sum(1 for message in messages if message.get("tool_calls"))
        outputs = tuple(str(message["content"]) for message in messages if message["role"] == "tool")
        call = ModelCall(len(self.calls), turn, outputs)
        self.calls.append(call)
        return call

    def _words(self, turn: int) -> list[str]:
        return [f"word{number}" for number in range(self.turns[turn].words)]
