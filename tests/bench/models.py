"""The cost of a model call by each adapter: CPU of this process for an answer and for each further chunk.

The provider is a separate process, so that its CPU is not counted.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.ports import LanguageModel
from models.language_model import ModelRequest, TextPart, UserTurn
from tests.provider.replies import Says
from tests.provider.scripted_provider import ScriptedProvider, running_provider

CHUNKS = {"short": 16, "long": 1016}
ROUNDS = 4
CALLS = {"short": 50, "long": 5}
SERVE = "from tests.bench.models import serve; serve()"
HEADER = f"{'CPU ms':<44} {'answer of 16':>12} {'more chunk':>12} {'wall of 16':>12}"
GOAL = f"{'goal, where litellm takes 25':<44} {3:>12.2f} {0.05:>12.3f}"


def measure_models() -> None:
    """Print a row for each adapter, both asked in alternation."""
    with tempfile.TemporaryDirectory() as folder, _provider_apart() as url:
        path = ScriptedProvider.at(url).models_file(Path(folder))
        asyncio.run(_measure(ModelCatalogue.load(path)))


def serve() -> None:
    """Answer as a provider until standard input ends."""
    with running_provider() as provider:
        for model, chunks in CHUNKS.items():
            provider.script(model, *[Says("word " * chunks)] * 10_000)
        print(provider.url, flush=True)
        sys.stdin.read()


async def _measure(catalogue: ModelCatalogue) -> None:
    direct = ChatCompletionsLanguageModel(catalogue)
    adapters: dict[str, LanguageModel] = {"direct": direct, "litellm": LitellmLanguageModel(catalogue)}
    for adapter in adapters.values():
        await _ask(adapter, "short", 5)
    costs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for name, adapter in adapters.items():
            for model, calls in CALLS.items():
                costs.setdefault((name, model), []).append(await _ask(adapter, model, calls))
    await direct.close()
    print(f"{HEADER}\n{GOAL}")
    for name in adapters:
        # The minimum of the rounds: other load on the machine only adds.
        (cpu, wall), (long_cpu, _) = (min(costs[name, model]) for model in CHUNKS)
        more = (long_cpu - cpu) / (CHUNKS["long"] - CHUNKS["short"])
        print(f"{name:<44} {cpu:>12.2f} {more:>12.3f} {wall:>12.2f}")


async def _ask(language_model: LanguageModel, model: str, calls: int) -> tuple[float, float]:
    """Milliseconds of CPU and of time that one call takes."""
    request = ModelRequest(model, (UserTurn((TextPart("Hello"),)),))
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        async for _delta in language_model.stream(request):
            pass
    return (time.process_time() - cpu) * 1000 / calls, (time.perf_counter() - wall) * 1000 / calls


@contextmanager
def _provider_apart() -> Iterator[str]:
    command = [sys.executable, "-c", SERVE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()
