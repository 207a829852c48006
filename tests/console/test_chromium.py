"""Where there is no Chromium, the tests say what to do."""

from pathlib import Path

import pytest

from tests.console.chromium import NoChromium, chromium

pytestmark = pytest.mark.xdist_group("console")


def test_a_machine_without_chromium_and_apt_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(NoChromium, match=r"no Chromium.*Install Chromium"):
        chromium()


def test_a_machine_without_apt_keeps_the_chromium_that_it_fetched_earlier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "holdfast" / "chromium").mkdir(parents=True)

    assert chromium().program == str(tmp_path / "holdfast/chromium/usr/lib/chromium/chromium")
