"""tiktoken with the vocabularies that litellm's package brings: tiktoken's own would be downloaded."""

import importlib.util
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

CL100K = "cl100k_base"
CACHE_VARIABLE = "TIKTOKEN_CACHE_DIR"
VOCABULARIES = "litellm_core_utils/tokenizers"

_loading = threading.Lock()
_loaded: "dict[str, Encoding]" = {}


def encoding(name: str = CL100K) -> "Encoding":
    """`cl100k_base` or one of the `o200k` kind. Takes up to a second and 136 MB the first time: call it in a thread."""
    with _loading:
        if name not in _loaded:
            os.environ[CACHE_VARIABLE] = str(vocabularies())
            import tiktoken

            _loaded[name] = tiktoken.get_encoding(name)
        return _loaded[name]


def token_starts(text: str) -> list[int]:
    """Where in `text` each of its cl100k tokens begins: a character's index, -1 where that is inside a character."""
    starts: list[int] = []
    position = 0
    for token in encoding().decode_tokens_bytes(encoding().encode_ordinary(text)):
        starts.append(-1 if _continues_a_character(token[0]) else position)
        position += sum(not _continues_a_character(byte) for byte in token)
    return starts


def _continues_a_character(byte: int) -> bool:
    return byte & 0xC0 == 0x80


def vocabularies() -> Path:
    """The folder of vocabularies, in the form of tiktoken's cache; found without importing litellm, which is slow."""
    spec = importlib.util.find_spec("litellm")
    assert spec is not None  # noqa: S101 - it is among the dependencies
    assert spec.origin is not None  # noqa: S101 - a package with a file of its own
    return Path(spec.origin).parent / VOCABULARIES
