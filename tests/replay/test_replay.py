"""Runs that an older Holdfast started continue under this one: recorded histories of every path replay."""

from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from temporalio.client import WorkflowHistory
from temporalio.contrib.opentelemetry import TracingInterceptor

from tests.replay.record import HISTORIES, paths
from tests.replay.replayer import replayer


def test_every_path_has_a_history() -> None:
    assert {path.stem for path in HISTORIES.glob("*.json")} >= set(paths())


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.json")), ids=lambda path: path.stem)
async def test_history_replays(path: Path) -> None:
    await replayer().replay_workflow(WorkflowHistory.from_json(path.stem, path.read_text()))


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.json")), ids=lambda path: path.stem)
async def test_history_replays_with_tracing(path: Path) -> None:
    tracing = TracingInterceptor(TracerProvider(shutdown_on_exit=False).get_tracer("test"))

    await replayer(tracing).replay_workflow(WorkflowHistory.from_json(path.stem, path.read_text()))
