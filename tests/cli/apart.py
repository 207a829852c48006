"""`holdfast api` and `holdfast worker` over Postgres and Valkey, with the Temporal of a `holdfast up`."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.program import HOLDFAST, ROOT, Place, Up, free_ports, tied, wait_until
from tests.postgres.server import running_postgres
from tests.valkey import running_valkey

APART_TASK_QUEUE = "apart"


@contextmanager
def running_apart(folder: Path, up: Up, **environment: str) -> Iterator[tuple[str, dict[str, subprocess.Popen[bytes]]]]:
    """The URL of the API, and the processes by name, once they are ready; `folder` is created for their data."""
    folder.mkdir()
    place = Place(folder / "data", free_ports(1)[0], up.place.temporal_port, up.place.temporal_ui_port)
    with running_postgres() as postgres, running_valkey() as valkey:
        settings = place.environment(
            **environment,
            HOLDFAST_DATABASE_URL=postgres.new_database(),
            HOLDFAST_EVENT_STREAM_URL=valkey.url,
            HOLDFAST_TASK_QUEUE=APART_TASK_QUEUE,
        )
        subprocess.run([*HOLDFAST, "migrate"], cwd=ROOT, env=settings, check=True)
        processes = {name: _started(name, folder, settings) for name in ("api", "worker")}
        try:
            wait_until(lambda: all("is ready" in (folder / f"{name}.txt").read_text() for name in processes))
            yield place.url, processes
        finally:
            for process in processes.values():
                process.terminate()
                process.wait()


def _started(name: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.txt").open("w") as output:
        return subprocess.Popen(tied([*HOLDFAST, name]), cwd=ROOT, env=environment, stdout=output, stderr=output)
