"""One answer of a model while it streams in, and what it means for the run."""

from dataclasses import dataclass, field
from enum import StrEnum

from models.language_model import CallDelta, Finish, FinishReason, ModelDelta, RefusalDelta, TextDelta, TokenUsage
from models.runs import RunStatus

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

EMPTY_ARGUMENTS = "{}"
"""What a call without arguments carries: clients parse the text, and models leave it out."""


@dataclass(slots=True)
class AnsweredCall:
    name: str
    fragments: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        arguments = storable("".join(self.fragments))
        return arguments if arguments.strip() else EMPTY_ARGUMENTS


class SaidAs(StrEnum):
    TEXT = "text"
    REFUSAL = "refusal"


@dataclass(slots=True)
class Answer:
    """Collects the deltas of one model call.

    `said` is in the order in which its kinds began; `finish` is None until the model has ended.
    """

    said: dict[SaidAs, list[str]] = field(default_factory=dict)
    calls: list[AnsweredCall] = field(default_factory=list)
    finish: Finish | None = None

    def add(self, delta: ModelDelta) -> None:
        match delta:
            case TextDelta(text):
                self.said.setdefault(SaidAs.TEXT, []).append(text)
            case RefusalDelta(text):
                self.said.setdefault(SaidAs.REFUSAL, []).append(text)
            case CallDelta(index, name, arguments):
                if index == len(self.calls):
                    self.calls.append(AnsweredCall(storable(name or "")))
                self.calls[index].fragments.append(arguments)
            case Finish():
                self.finish = delta

    @property
    def text(self) -> str:
        return storable("".join(self.said.get(SaidAs.TEXT, ())))

    @property
    def refusal(self) -> str:
        return storable("".join(self.said.get(SaidAs.REFUSAL, ())))

    @property
    def has_words(self) -> bool:
        """Whether it says anything that a message can hold."""
        return bool(self.text or self.refusal)

    @property
    def usage(self) -> TokenUsage:
        return self.finish.usage if self.finish else TokenUsage()

    @property
    def is_filtered(self) -> bool:
        """Whether the provider's content filter stopped the answer."""
        return self.finish is not None and self.finish.reason is FinishReason.CONTENT_FILTER

    @property
    def run_status(self) -> RunStatus:
        """Where the finished answer takes the run."""
        if self.finish is not None and self.finish.reason is FinishReason.LENGTH:
            return RunStatus.INCOMPLETE
        return RunStatus.REQUIRES_ACTION if self.calls else RunStatus.COMPLETED


def storable(text: str) -> str:
    """A model's text without what no database or client takes: halves of surrogate pairs, and null characters."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", REPLACEMENT)


class PieceMender:
    """Makes the pieces of one text storable, so that together they are what `storable` makes of the whole."""

    def __init__(self) -> None:
        self._held_back = ""

    def mend(self, piece: str) -> str:
        """The piece, without a half of a surrogate pair at its end, whose other half may come with the next."""
        if piece.isascii() and not self._held_back:
            return piece.replace("\0", REPLACEMENT)
        text = self._held_back + piece
        self._held_back = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return storable(text[: len(text) - len(self._held_back)])

    def rest(self) -> str:
        """What is left once the last piece has come."""
        rest, self._held_back = storable(self._held_back), ""
        return rest
