"""What litellm costs at the start of `holdfast up`: until it is ready, CPU, and memory of all its processes."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.processes import ProcessTrees
from tests.cli.program import Place, Up
from tests.provider.scripted_provider import ScriptedProvider

ROUNDS = 3
NOWHERE = "http://127.0.0.1:9/v1"
CLAUDE = {"model_name": "claude", "litellm_params": {"model": "anthropic/claude-sonnet-4-5", "api_key": "none"}}
SETUPS: Mapping[str, Sequence[Mapping[str, Any]]] = {"all models directly": (), "one more by litellm": (CLAUDE,)}
HEADER = f"{'start of `holdfast up`, one worker':<44} {'ready s':>12} {'CPU s':>12} {'MiB PSS':>12}"


def measure_starts() -> None:
    """Print a row for a models file without and with a model that litellm calls, both started in alternation."""
    print(HEADER)
    measured: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(ROUNDS):
        for name, more in SETUPS.items():
            measured.setdefault(name, []).append(_start(more))
    # The minimum of the rounds: other load on the machine only adds.
    rows = {name: tuple(map(min, zip(*each, strict=True))) for name, each in measured.items()}
    for name, figures in rows.items():
        print(_row(name, figures))
    direct, with_litellm = rows.values()
    print(_row("saved, where 1 s and 100 MiB are the goal", [b - a for a, b in zip(direct, with_litellm, strict=True)]))


def _start(more: Sequence[Mapping[str, Any]]) -> tuple[float, float, float]:
    """Seconds until it is ready, seconds of CPU, and MiB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = ScriptedProvider.at(NOWHERE).models_file(folder, *more)
        began = time.monotonic()
        up = Up(Place.new(folder), HOLDFAST_MODELS=str(models), HOLDFAST_WORKERS="1").ready()
        try:
            seconds, processes = time.monotonic() - began, ProcessTrees([up.process.pid])
            return seconds, sum(processes.cpu_seconds().values()), sum(processes.mebibytes().values())
        finally:
            up.interrupt()
            up.process.wait()


def _row(name: str, figures: Sequence[float]) -> str:
    seconds, cpu, mebibytes = figures
    return f"{name:<44} {seconds:>12.2f} {cpu:>12.2f} {mebibytes:>12.0f}"
