"""One answer of a model while it streams in, and the run status that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from models.language_model import CallDelta, Finish, FinishReason, ModelDelta, RefusalDelta, TextDelta, TokenUsage
from models.messages import AnswerAnnotation, FileCitation, FilePath, UrlCitation
from models.provider_state import ProviderState
from models.runs import RunStatus

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

EMPTY_ARGUMENTS = "{}"
"""The arguments of a call without any: clients parse the text, and models leave it out."""


AnswerDelta = ModelDelta | AnswerAnnotation
"""A piece of an answer. An annotation is a piece of its text: the marker or link, and where it leads."""


@dataclass(slots=True)
class AnsweredCall:
    name: str
    fragments: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        arguments = storable("".join(self.fragments))
        return arguments if arguments.strip() else EMPTY_ARGUMENTS


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that code made and an answer links to. Its bytes are stored already; its row comes with the answer's."""

    id: str
    filename: str
    bytes: int


class SaidAs(StrEnum):
    TEXT = "text"
    REFUSAL = "refusal"


@dataclass(slots=True)
class Answer:
    """Collects the deltas of one model call.

    `said` is in the order in which its kinds began; `finish` is None until the model has ended. `image_ids` are the
    files of images that the run's code has shown since its last message: the message begins with them.
    """

    said: dict[SaidAs, list[str]] = field(default_factory=dict)
    calls: list[AnsweredCall] = field(default_factory=list)
    annotations: list[AnswerAnnotation] = field(default_factory=list)
    image_ids: Sequence[str] = ()
    files: list[MadeFile] = field(default_factory=list)
    finish: Finish | None = None

    def add(self, delta: AnswerDelta) -> None:
        match delta:
            case TextDelta(text):
                self.said.setdefault(SaidAs.TEXT, []).append(text)
            case FileCitation() | UrlCitation() | FilePath():
                self.said.setdefault(SaidAs.TEXT, []).append(delta.text)
                self.annotations.append(delta)
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
        """Whether the answer has text or a refusal, the parts of a message."""
        return bool(self.text or self.refusal)

    @property
    def has_begun(self) -> bool:
        return bool(self.said or self.calls)

    @property
    def usage(self) -> TokenUsage:
        return self.finish.usage if self.finish else TokenUsage()

    @property
    def state(self) -> ProviderState | None:
        """That of an answer with calls: without them it is never sent back."""
        return self.finish.state if self.finish and self.calls else None

    @property
    def is_filtered(self) -> bool:
        """Whether the provider's content filter stopped the answer."""
        return self.finish is not None and self.finish.reason is FinishReason.CONTENT_FILTER

    @property
    def asks_for_results(self) -> bool:
        """Whether the model wants to be asked again, with the results of its calls."""
        return self.run_status is RunStatus.REQUIRES_ACTION

    @property
    def run_status(self) -> RunStatus:
        """The status of the run after the finished answer."""
        if self.finish is not None and self.finish.reason is FinishReason.LENGTH:
            return RunStatus.INCOMPLETE
        return RunStatus.REQUIRES_ACTION if self.calls else RunStatus.COMPLETED


def storable(text: str) -> str:
    """A model's text without the characters that no database or client accepts: lone surrogates and null."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", REPLACEMENT)


class PieceMender:
    """Makes the pieces of one text storable, so that their concatenation equals `storable` of the whole text."""

    def __init__(self) -> None:
        self._half = ""

    def mend(self, piece: str) -> str:
        """The piece, without a first half of a surrogate pair at its end: the second half may begin the next piece."""
        if piece.isascii() and not self._half:
            return piece.replace("\0", REPLACEMENT)
        text = self._half + piece
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return storable(text[: len(text) - len(self._half)])

    def rest(self) -> str:
        """The remaining text after the last piece."""
        rest, self._half = storable(self._half), ""
        return rest


class ArgumentsMender(PieceMender):
    """As `PieceMender`, for the arguments of one call: the concatenation equals `AnsweredCall.arguments`.

    White space at the beginning is retained: arguments of nothing else become `EMPTY_ARGUMENTS`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._blanks: list[str] = []
        self._is_blank = True

    def mend(self, piece: str) -> str:
        return self._begin(super().mend(piece))

    def rest(self) -> str:
        rest = self._begin(super().rest())
        return EMPTY_ARGUMENTS if self._is_blank else rest

    def _begin(self, text: str) -> str:
        if not self._is_blank:
            return text
        self._blanks.append(text)
        if not text.strip():
            return ""
        self._is_blank = False
        return "".join(self._blanks)
