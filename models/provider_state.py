"""What a provider wants back with a turn's calls: its reasoning and signatures. Nobody else reads them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ProviderState:
    """Fields of the wire: of the answer's message, and of its calls by their place. `provider` alone gets them back.

    It is litellm's prefix and, where an address is known, its host: `deepseek@api.deepseek.com`.
    """

    provider: str
    message: Fields
    calls: Mapping[int, Fields]

    def with_calls_at(self, places: Mapping[int, int]) -> "ProviderState":
        """The state after the calls were moved from the keys of `places`; that of other calls is lost."""
        moved = {places[place]: fields for place, fields in self.calls.items() if place in places}
        return ProviderState(self.provider, self.message, moved)

    def as_stored(self) -> dict[str, Any]:
        calls = {str(place): fields for place, fields in self.calls.items()}
        return {"provider": self.provider, "message": self.message, "calls": calls}

    @classmethod
    def of_stored(cls, stored: Mapping[str, Any]) -> "ProviderState":
        calls = {int(place): fields for place, fields in stored["calls"].items()}
        return cls(stored["provider"], stored["message"], calls)

    @property
    def texts(self) -> Iterable[str]:
        """All texts in the message's fields, for counting."""
        return _texts(self.message)


def _texts(value: Any) -> Iterable[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for each in value.values():
                yield from _texts(each)
        case list():
            for each in value:
                yield from _texts(each)
