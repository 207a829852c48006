"""What litellm must pass on or refuse, and may not drop, whichever deployment or fallback gets the call."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


class FieldNotTaken(Exception):
    """The model that got the call does not take a field of it."""

    status_code = 400

    def __init__(self, name: str) -> None:
        super().__init__(f"Unsupported parameter: '{name}' cannot be passed on.")
        self.name = name


@dataclass(frozen=True)
class Kept:
    """`fields` are parameters of the call, `parts` the base64 of files and sounds by their places in the body.

    `names` are those of messages, in their order, and `named` is the place of the first. `custom` is the place of a
    custom tool or of its call, which only OpenAI's chat completions have.
    """

    fields: Collection[str] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    named: str = ""
    custom: str = ""

    @property
    def has_any(self) -> bool:
        return bool(self.fields or self.parts or self.names or self.custom)


NOTHING_KEPT = Kept()
# litellm maps the fields and sends the request deep within the call, once for each deployment and fallback that it
# tries.
_kept: ContextVar[Kept] = ContextVar("kept", default=NOTHING_KEPT)


@contextmanager
def keeping(kept: Kept) -> Iterator[None]:
    """litellm raises `FieldNotTaken` within the block for what it would drop of `kept`."""
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)


def kept_of_call() -> Kept:
    return _kept.get()
