"""How log lines look, and which are written."""

import io
import json
import logging
import signal
from pathlib import Path

import pytest

from cli.logs import log_handler
from tests.cli.program import HOLDFAST, Place, run_here, wait_until
from tests.cli.warm_program import started
from tests.valkey import running_valkey


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _line(stream: io.StringIO, log_format: str) -> str:
    handler = log_handler(log_format, stream)  # type: ignore[arg-type]
    record = logging.makeLogRecord({"name": "infra", "levelname": "INFO", "msg": "run.ended", "run_id": "run_a"})
    handler.emit(record)
    return stream.getvalue()


@pytest.mark.parametrize(("stream", "log_format"), [(io.StringIO(), "auto"), (Terminal(), "json")])
def test_lines_are_json_where_a_machine_reads(stream: io.StringIO, log_format: str) -> None:
    line = json.loads(_line(stream, log_format))

    assert line.pop("timestamp")
    assert line == {"event": "run.ended", "level": "info", "logger": "infra", "run_id": "run_a"}


@pytest.mark.parametrize(("stream", "log_format"), [(Terminal(), "auto"), (io.StringIO(), "console")])
def test_lines_are_text_where_a_person_reads(stream: io.StringIO, log_format: str) -> None:
    line = _line(stream, log_format)

    assert "run.ended" in line
    assert not line.startswith("{")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place.new(tmp_path)
    assert run_here(place, "migrate").returncode == 0
    return place


@pytest.mark.slow
def test_the_level_is_a_setting(place: Place, temporal_port: int, tmp_path: Path) -> None:
    """That "holdfast.stopping" is said on the default level is in tests/cli/test_stopping.py."""
    output, errors = tmp_path / "stdout", tmp_path / "stderr"
    with running_valkey() as valkey:
        environment = place.environment(
            HOLDFAST_EVENT_STREAM_URL=valkey.url,
            HOLDFAST_LOG_LEVEL="warning",
            TEMPORAL_ADDRESS=f"127.0.0.1:{temporal_port}",
        )
        process = started([*HOLDFAST, "api"], environment, output, err=errors)
        wait_until(lambda: "is ready" in output.read_text() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0, errors.read_text()

    events = [json.loads(line)["event"] for line in errors.read_text().splitlines()]
    assert "holdfast.stopping" not in events
