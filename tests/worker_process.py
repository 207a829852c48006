"""A real `holdfast worker` process, which can be stopped or killed while others continue."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from infra.settings import Settings
from tests.cli.program import DEADLINE_SECONDS, HOLDFAST, Place
from tests.cli.warm_program import started


class WorkerProcess:
    def __init__(self, settings: Settings, output: Path, environment: dict[str, str]) -> None:
        self._output = output
        place = Place(settings.data_dir, settings.port, settings.temporal_port, settings.temporal_ui_port)
        ours = {"HOLDFAST_MODELS": str(settings.models), "HOLDFAST_TASK_QUEUE": settings.task_queue}
        ours |= {
            "HOLDFAST_DATABASE_URL": settings.database_url,
            "HOLDFAST_EVENT_STREAM_URL": settings.event_stream_url,
        }
        self.process = started([*HOLDFAST, "worker"], place.environment(**ours, **environment), output)

    @property
    def output(self) -> str:
        return self._output.read_text()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():
                await asyncio.sleep(0.02)

    async def says(self, text: str) -> None:
        """Wait until the worker has written `text`."""
        await self.until(lambda: text in self.output or self.process.poll() is not None)
        assert text in self.output, self.output

    async def ended(self) -> int:
        """Wait until the process has ended. Returns its exit code."""
        await self.until(lambda: self.process.poll() is not None)
        return self.process.wait()


@asynccontextmanager
async def worker_process(settings: Settings, name: str, **environment: str) -> AsyncIterator[WorkerProcess]:
    """Run a worker with `settings` until the block ends, if it does not end earlier."""
    worker = WorkerProcess(settings, settings.data_dir / f"{name}.log", environment)
    try:
        await worker.says("is ready")
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()
