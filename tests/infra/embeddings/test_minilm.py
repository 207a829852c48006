"""The local model: what it means, how much of a text it sees, what it costs those who do not use it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
from tokenizers import Tokenizer

from infra.embeddings.minilm import MAX_TOKENS, TOKENIZER, MiniLmEmbedder
from tests.infra.embeddings.test_embedder_contract import LONG


@pytest.fixture
def embedder() -> Iterator[MiniLmEmbedder]:
    with closing(MiniLmEmbedder(threads=1)) as opened:
        yield opened


async def test_near_in_meaning_is_near(embedder: MiniLmEmbedder) -> None:
    near, text, far = await embedder.embed(
        ["Employees get 25 days of holiday.", "How long is the annual leave of the staff?", "The pump needs new oil."]
    )

    assert _dot(near, text) > 0.4 > _dot(far, text) + 0.2


async def test_windows_have_no_more_tokens_than_the_model_sees(embedder: MiniLmEmbedder) -> None:
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    sizes = [len(tokenizer.encode(window).ids) for window in await embedder.windows(LONG)]

    assert max(sizes) <= MAX_TOKENS
    assert min(sizes) > MAX_TOKENS * 0.75


async def test_the_end_of_a_window_counts(embedder: MiniLmEmbedder) -> None:
    # The tokenizer's file cuts at 128 tokens, unless it is asked not to.
    start = "the " * 200

    one, other = await embedder.embed([start + "zebra", start + "turbine"])

    assert one != other


@pytest.mark.slow
def test_nothing_is_loaded_before_the_first_text() -> None:
    program = """
import asyncio, sys
from infra.resources import open_embedder, open_vector_index
from infra.settings import Settings
async def main():
    async with open_embedder(Settings()) as embedder, open_vector_index(Settings()):
        assert embedder.model == "local/minilm-int8"
    assert not {"numpy", "onnxruntime", "tokenizers"} & set(sys.modules)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def _dot(one: object, other: object) -> float:
    assert isinstance(one, list)
    assert isinstance(other, list)
    return float(sum(a * b for a, b in zip(one, other, strict=True)))
