"""What a sandbox does where its machine or container is short of memory or disk."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.sandbox import sandbox as sandboxes
from infra.sandbox.limits import FolderUse, Limits
from infra.sandbox.sandbox import Sandbox
from infra.sandbox.usage import Usage
from infra.sandbox.watch import Watched, memory_is_short
from infra.settings import Settings


class BusySession:
    """Its folder is removed while its cell ends."""

    is_busy = True

    def __init__(self, path: Path) -> None:
        self.folder = SimpleNamespace(path=path / "gone", used=FolderUse)
        self.killed_for: list[str] = []
        self.box = SimpleNamespace(pid=1, kill=self.killed_for.append)


class IdleSession:
    is_wanted = is_busy = has_ended = False

    def __init__(self, used_at: float) -> None:
        self.used_at = used_at
        self.ended_for = ""

    async def close(self, reason: str) -> None:
        self.ended_for = reason


@pytest.mark.parametrize(
    ("most", "used", "cache", "is_short"),
    [("1000", 990, 0, True), ("1000", 990, 500, False), ("1000", 500, 0, False), ("max", 990, 0, False)],
)
def test_limit_of_the_container_counts(most: str, used: int, cache: int, is_short: bool, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{most}\n")
    (tmp_path / "memory.current").write_text(f"{used}\n")
    (tmp_path / "memory.stat").write_text(f"anon 3\ninactive_file {cache}\nactive_file 0\n")

    assert memory_is_short(tmp_path) is is_short


def test_machine_without_a_limit_counts_alone(tmp_path: Path) -> None:
    assert not memory_is_short(tmp_path / "none")


async def test_full_disk_ends_the_longest_idle_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    older, newer = IdleSession(1), IdleSession(2)
    place: Any = type("Place", (), {"sessions": tmp_path})
    unused: Any = None
    sandbox = Sandbox(unused, unused, unused, place, None)
    sessions: Any = {"newer": (1, newer), "older": (1, older)}
    sandbox._sessions = sessions
    monkeypatch.setattr(sandboxes, "disk_is_full", lambda _: not older.ended_for)
    monkeypatch.setattr(sandboxes, "memory_is_short", lambda: False)

    await sandbox._make_free()

    assert (older.ended_for, newer.ended_for) == ("the disk of the sandbox is full", "")


async def test_full_disk_ends_code_whose_folder_is_gone_by_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sandboxes, "disk_is_full", lambda path: bool(path.stat()))
    session: Any = BusySession(tmp_path)
    place: Any = SimpleNamespace(sessions=tmp_path)
    unused: Any = None
    sandbox = Sandbox(Limits.of(Settings(_env_file=None)), unused, unused, place, None)

    await sandbox._judge(Watched(1, session.folder.path, None), session, Usage())

    assert session.killed_for == ["the disk of the sandbox is full"]
