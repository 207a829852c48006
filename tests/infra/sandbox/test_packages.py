"""The packages of the code, and what is shown with them. They are installed once for all tests of this machine."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from infra.sandbox.bubblewrap import find_interpreter
from infra.sandbox.packages import FONTS, LOCK, PINNED, Packages, PackagesNotInstalled
from models.code_cells import CellText, PackageState
from tests.sandbox_process import RunningSandbox, running_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("sandbox-packages")]
LIBRARIES = """numpy pandas matplotlib openpyxl PIL scipy pypdf docx pptx seaborn sklearn sympy networkx tabulate
xlsxwriter reportlab"""


@pytest.fixture(scope="module")
def packages() -> Packages:
    found = Packages.of(find_interpreter(), "")
    found.install()
    return found


@pytest.fixture(scope="module")
async def sandbox(packages: Packages) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(packages.folder.parent) as running:
        yield running


async def png(sandbox: RunningSandbox, code: str) -> list[bytes]:
    """The images that a cell shows."""
    session = await sandbox.session()
    ran = await sandbox.run(session, code, call_id="call_1")
    assert not ran.done.reason, ran
    images = []
    for image in ran.images:
        content = b"".join([part async for part in sandbox.client.image(session, "call_1", image.number)])
        assert len(content) == image.size
        images.append(content)
    await sandbox.client.close(session)
    return images


async def test_every_library_can_be_imported(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(f"import importlib\nfor name in {LIBRARIES.split()}: importlib.import_module(name)")

    assert ran.text == ""
    assert ran.done.reason == ""


async def test_figures_that_are_open_at_the_end_are_images(sandbox: RunningSandbox) -> None:
    images = await png(
        sandbox, "import matplotlib.pyplot as plt\nplt.plot([1, 2]);\nplt.figure(); plt.bar([1], [2]);\nNone"
    )

    assert len(images) == 2
    assert all(image.startswith(b"\x89PNG\r\n") for image in images)


async def test_show_makes_an_image_in_its_place(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(
        "import matplotlib.pyplot as plt\n%matplotlib inline\nprint('a', flush=True); plt.plot([1]); plt.show()\n"
        "print('b', flush=True); plt.plot([2]); plt.show()\nprint('c')"
    )

    shown = [each.text if isinstance(each, CellText) else "image" for each in ran.outputs[:-1]]
    assert "".join(shown).split() == ["a", "imageb", "imagec"]
    assert "non-interactive" not in ran.text


async def test_last_expression_that_is_an_image_is_shown(sandbox: RunningSandbox) -> None:
    assert len(await png(sandbox, "from PIL import Image\nImage.new('RGB', (20, 20), 'red')")) == 1
    assert len(await png(sandbox, "import matplotlib.figure\nf = matplotlib.figure.Figure(); f.subplots(); f")) == 1


async def test_images_beyond_the_bound_are_left_out_and_that_is_said(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(
        "import matplotlib.pyplot as plt\nfor n in range(25):\n  plt.figure(figsize=(1, 1)); plt.show()"
    )

    assert [image.number for image in ran.images] == list(range(20))
    assert "more images are left out" in ran.text


async def test_programs_of_the_code_have_the_packages_too(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(
        "open('p.py', 'w').write('import pandas, matplotlib.pyplot as plt; plt.plot([1]); plt.show(); print(1)')\n"
        "!python3 p.py"
    )

    assert ran.text == "1\n"


async def test_great_libraries_are_imported_before_the_first_call(sandbox: RunningSandbox) -> None:
    with_them = await sandbox.run_alone("import sys; import pandas as pd\nprint(pd is sys.modules['pandas'])")
    ran = await sandbox.run_alone("import sys; print('nu' + 'mpy' in sys.modules)")

    assert with_them.text == "True\n"
    assert ran.text == "False\n"


async def test_packages_are_read_only_in_the_box(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("import os; bool(os.statvfs('/opt/packages').f_flag & os.ST_RDONLY)")

    assert ran.text == "True\n"


def test_lock_names_hashes_and_no_index() -> None:
    lock = LOCK.read_text()

    assert len(PINNED.findall(lock)) > 20
    assert lock.count("--hash=sha256:") > len(PINNED.findall(lock))
    assert "://" not in lock


def test_folder_is_another_one_for_other_packages(tmp_path: Path) -> None:
    interpreter = find_interpreter()

    folders = {Packages.of(interpreter, added, tmp_path).folder for added in ("", "polars", "polars networkx")}

    assert len(folders) == 3
    assert Packages.of(interpreter, "b a", tmp_path) == Packages.of(interpreter, "a  b", tmp_path)


def test_package_that_does_not_exist_is_said_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.sandbox.packages.LOCK", tmp_path / "lock")
    (tmp_path / "lock").write_text("")
    # No index is asked.
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    packages = Packages.of(find_interpreter(), "holdfast-no-such-package", tmp_path)

    with pytest.raises(PackagesNotInstalled):
        packages.install()

    state, note = packages.state()
    assert state is PackageState.FAILED
    assert "holdfast-no-such-package" in note
    assert not packages.folder.exists()


def test_installed_packages_are_not_installed_again(packages: Packages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.sandbox.packages.shutil.which", lambda _: None)

    packages.install()

    assert packages.state() == (PackageState.READY, "")


def test_added_packages_do_not_run_outside_a_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(self: Packages, tie: Sequence[str], target: Path, *what: str) -> None:
        library = target / "matplotlib"
        library.mkdir(parents=True, exist_ok=True)
        (library / "__init__.py").touch()
        if "added" in what:
            (target / "added.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
        else:
            listing = "import os\nopen(os.environ['MPLCONFIGDIR'] + '/fonts', 'w')\nimport added"
            (library / "font_manager.py").write_text(listing)

    monkeypatch.setattr(Packages, "_run_installer", install)
    packages = Packages.of(find_interpreter(), "added", tmp_path)

    packages.install()

    assert (packages.folder / FONTS / "fonts").exists()
    assert (packages.folder / "added.py").exists()
    assert not (tmp_path / "ran").exists()
