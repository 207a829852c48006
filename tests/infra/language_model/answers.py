"""Requests to a language model in a test, and the deltas of its answer."""

from contextlib import aclosing
from dataclasses import dataclass

from infra.ports import LanguageModel
from models.language_model import (
    CallDelta,
    Finish,
    FinishReason,
    ModelDelta,
    ModelRequest,
    RefusalDelta,
    TextDelta,
    TextPart,
    TokenUsage,
    UserTurn,
)


@dataclass(frozen=True)
class Answered:
    deltas: list[ModelDelta]

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, TextDelta))

    @property
    def refusal(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, RefusalDelta))

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Each call's name and arguments, by index."""
        calls: dict[int, tuple[str, str]] = {}
        for delta in self.deltas:
            if isinstance(delta, CallDelta):
                name, arguments = calls.get(delta.index, ("", ""))
                calls[delta.index] = (name + (delta.name or ""), arguments + delta.arguments)
        assert list(calls) == list(range(len(calls)))
        return list(calls.values())

    @property
    def finish(self) -> Finish:
        *others, last = self.deltas
        assert isinstance(last, Finish)
        assert not any(isinstance(delta, Finish) for delta in others)
        return last

    @property
    def reason(self) -> FinishReason:
        return self.finish.reason

    @property
    def usage(self) -> TokenUsage:
        return self.finish.usage


def saying(model: str, text: str = "Hello") -> ModelRequest:
    return ModelRequest(model, (UserTurn((TextPart(text),)),))


async def ask(language_model: LanguageModel, request: ModelRequest) -> Answered:
    async with aclosing(language_model.stream(request)) as deltas:
        return Answered([delta async for delta in deltas])
