"""Counts tokens with tiktoken, which the first count loads."""

from typing import TYPE_CHECKING

from infra.daemon_threads import DaemonThreads
from infra.tokenizers import CL100K, encoding

if TYPE_CHECKING:
    from tiktoken import Encoding

AT_HAND = frozenset({"cl100k_base", "o200k_base", "o200k_harmony"})
"""The encodings whose vocabularies need no download."""

LONG_TEXT_CHARACTERS = 10_000


class Tokenizer:
    def __init__(self) -> None:
        self._encodings: dict[str, Encoding] = {}
        self._threads = DaemonThreads()

    async def count(self, model: str, text: str) -> int:
        """Tokens of `text` for a model by its provider's name; an estimate for an unknown one."""
        # tiktoken, which is slow to import, must not be imported here before the first count.
        known = self._encodings.get(_encoding_name(model)) if self._encodings else None
        if known is None or len(text) > LONG_TEXT_CHARACTERS:
            return await self._threads.run(self._count, model, text)
        return len(known.encode_ordinary(text))

    def _count(self, model: str, text: str) -> int:
        return len(self._loaded(model).encode_ordinary(text))

    def _loaded(self, model: str) -> "Encoding":
        name = _encoding_name(model)
        self._encodings[name] = encoding(name)
        return self._encodings[name]


def _encoding_name(model: str) -> str:
    import tiktoken

    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return CL100K
    return name if name in AT_HAND else CL100K
