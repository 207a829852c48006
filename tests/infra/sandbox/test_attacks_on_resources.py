"""Code that fills memory or disk, and files that are made to harm what collects them."""

from pathlib import Path

import pytest

from infra.sandbox.errors import SandboxFileMissing, SandboxFileRefused, SessionGone
from models.code_cells import CellEnding, SandboxFile, SessionFate
from tests.infra.sandbox.conftest import LIMITS
from tests.infra.sandbox.files import once, sha256
from tests.sandbox_process import RunningSandbox

WRITE = """
def fill(file):
    size = 0
    try:
        while True:
            size += file.write(b"0" * (1 << 20))
            file.flush()
    except OSError as error:
        print(size >> 20, error.strerror)
"""


async def _killed(sandbox: RunningSandbox, code: str, reason: str, fate: SessionFate) -> None:
    ran = await sandbox.run_alone(code)

    assert (ran.done.ending, ran.done.fate) == (CellEnding.KILLED, fate), ran.outputs
    assert reason in ran.done.reason


async def test_file_stops_at_the_limit_of_its_size(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(f"{WRITE}\nfill(open('/tmp/x', 'wb'))\nimport os; os.truncate('/tmp/x', 1 << 40)")

    assert ran.text.startswith("31 File too large") or ran.text.startswith("32 File too large")
    assert "OSError: [Errno 27] File too large" in ran.text


async def test_many_files_that_fill_the_disk_end_the_session(sandbox: RunningSandbox) -> None:
    session = await sandbox.session()

    ran = await sandbox.run(
        session,
        "import time\nfor n in range(500): open(f'f{n}', 'wb').write(b'0' * (4 << 20)); time.sleep(.05)",
    )

    assert (ran.done.ending, ran.done.fate) == (CellEnding.KILLED, SessionFate.ENDED)
    assert "its files took more than the limit of 32 MB or 300 files" in ran.done.reason
    with pytest.raises(SessionGone):
        await sandbox.run(session, "1")


async def test_quick_cell_beyond_the_disk_is_found_at_its_end(sandbox: RunningSandbox) -> None:
    code = "for n in range(3): open(f'f{n}', 'wb').write(b'0' * (15 << 20))"

    await _killed(sandbox, code, "its files took more than the limit", SessionFate.ENDED)


async def test_files_in_a_closed_folder_count(sandbox: RunningSandbox) -> None:
    fill = "for n in range(3): open(f'd/f{n}', 'wb').write(b'0' * (15 << 20))"
    code = f"import os; os.mkdir('d')\n{fill}\nos.chmod('d', 0)"

    # Root looks into it.
    await _killed(sandbox, code, "its files ", SessionFate.ENDED)


async def test_flood_of_folders_within_folders_ends_the_session(sandbox: RunningSandbox) -> None:
    session = await sandbox.session()
    code = "import os\nfor n in range(5000):\n  os.mkdir('d'); os.chdir('d')"

    ran = await sandbox.run(session, code)
    other = await sandbox.run_alone("1")

    assert (ran.done.ending, ran.done.fate) == (CellEnding.KILLED, SessionFate.ENDED), ran.outputs
    assert other.text == "1\n"


async def test_flood_of_files_ends_the_session(sandbox: RunningSandbox) -> None:
    code = "n = 0\nwhile True:\n  open(f'e{n}', 'w').close(); n += 1\n  if n % 50 == 0: __import__('time').sleep(.1)"

    await _killed(sandbox, code, "its files took more than the limit", SessionFate.ENDED)


async def test_files_without_a_name_count(sandbox: RunningSandbox) -> None:
    code = """
import os, time
kept = []
while True:
    file = open("x", "wb"); os.unlink("x"); file.write(b"0" * (8 << 20)); file.flush(); kept.append(file)
    time.sleep(0.05)
"""

    await _killed(sandbox, code, "its files took more than the limit", SessionFate.RESTARTED)


async def test_files_without_a_name_that_are_only_mapped_count(sandbox: RunningSandbox) -> None:
    code = """
import ctypes, os, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
while True:
    file = os.open("x", os.O_RDWR | os.O_CREAT); os.unlink("x"); os.write(file, b"0" * (8 << 20))
    assert libc.mmap(None, ctypes.c_size_t(4096), 1, 1, file, ctypes.c_long(0)) > 0
    os.close(file)
    time.sleep(0.05)
"""

    await _killed(sandbox, code, "its files took more than the limit", SessionFate.RESTARTED)


async def test_files_of_a_thread_with_descriptors_of_its_own_count(sandbox: RunningSandbox) -> None:
    # close_range with CLOSE_RANGE_UNSHARE, of descriptors that are not open.
    code = """
import ctypes, os, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def work():
    assert libc.syscall(436, 5000, 5000, 2) == 0, ctypes.get_errno()
    while True:
        file = os.open("x", os.O_RDWR | os.O_CREAT); os.unlink("x"); os.write(file, b"0" * (8 << 20))
        assert str(file) not in os.listdir("/proc/self/fd"), "the process shares it"
        time.sleep(0.05)
thread = threading.Thread(target=work); thread.start(); thread.join()
"""

    await _killed(sandbox, code, "its files took more than the limit", SessionFate.RESTARTED)


async def test_files_are_not_sent_through_sockets(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("""
import os, socket
one, other = socket.socketpair()
socket.send_fds(one, [b"x"], [os.open("x", os.O_CREAT)])
""")

    assert "PermissionError" in ran.text


async def test_sparse_file_of_a_terabyte_is_refused(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("import os\nopen('s', 'wb').close()\nos.truncate('s', 1 << 40)")

    assert "File too large" in ran.text


async def test_memory_of_one_process(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(
        "a = []\nwhile True:\n  a.append(bytearray(b'x') * (16 << 20)); __import__('time').sleep(.02)"
    )

    assert "MemoryError" in ran.text or "more than the limit of 256 MB of memory" in ran.done.reason


async def test_memory_of_many_processes_counts_together(sandbox: RunningSandbox) -> None:
    code = """
import os, time
for number in range(10):
    if os.fork() == 0:
        a = bytearray(b"x") * (60 << 20)
        time.sleep(30)
        os._exit(0)
time.sleep(30)
"""

    await _killed(sandbox, code, "more than the limit of 256 MB of memory", SessionFate.RESTARTED)


async def test_memory_behind_a_thread_that_has_ended_counts(sandbox: RunningSandbox) -> None:
    code = """
import ctypes, os, platform, threading, time
number = {"x86_64": 60, "aarch64": 93}[platform.machine()]
kept = []
def fill():
    kept.append(bytearray(b"x") * (60 << 20))
    time.sleep(30)
for each in range(10):
    if os.fork() == 0:
        threading.Thread(target=fill).start()
        # The first thread alone: the process goes on.
        ctypes.CDLL(None).syscall(number, 0)
time.sleep(30)
"""

    await _killed(sandbox, code, "more than the limit of 256 MB of memory", SessionFate.RESTARTED)


async def test_files_in_memory_are_bounded(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(f"""{WRITE}
for folder in ("/tmp", "/dev/shm"):
    for number in range(5):
        fill(open(f"{{folder}}/{{number}}", "wb"))
""")

    assert "No space left on device" in ran.text
    assert sum(int(line.split()[0]) for line in ran.text.splitlines()) <= 64 + 16


async def test_flood_of_files_in_memory_is_ended(sandbox: RunningSandbox) -> None:
    code = "n = 0\nwhile True:\n  open(f'/tmp/e{n}', 'w').close(); n += 1"

    await _killed(sandbox, code, "files in memory", SessionFate.RESTARTED)


async def test_memory_of_no_process_is_refused(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("import os; os.memfd_create('x')")

    assert "PermissionError" in ran.text


async def test_archives_unpack_into_the_box_alone(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("""
import io, os, tarfile, zipfile
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("../../../usr/evil", "x")
    archive.writestr("big", b"0" * (100 << 20))
try:
    zipfile.ZipFile(packed).extractall("/mnt/data")
except OSError as error:
    print(error.strerror)
os.path.exists("big") and os.unlink("big")
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w") as archive:
    for name in ("/usr/evil", "../../usr/evil"):
        member = tarfile.TarInfo(name); member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
packed.seek(0)
try:
    tarfile.open(fileobj=packed).extractall("/mnt/data")
except Exception as error:
    print(type(error).__name__)
""")

    assert "File too large" in ran.text
    assert not Path("/usr/evil").exists()


async def test_links_pipes_and_second_names_are_not_collected(sandbox: RunningSandbox) -> None:
    secret = sandbox.folder.parent / "secret.txt"
    secret.write_text("HOST")
    session = await sandbox.session()

    ran = await sandbox.run(
        session,
        f"""
import os
os.symlink({str(secret)!r}, "report.csv"); os.symlink("/etc/passwd", "p.csv"); os.symlink("/proc/self/environ", "e.csv")
os.mkdir("d"); os.symlink("/", "d/root"); os.symlink(".", "d/again"); os.mkfifo("pipe")
open("good.txt", "w").write("x"); open("d/in.txt", "w").write("y")
open("two.txt", "w").write("z"); os.link("two.txt", "names.txt")
""",
    )

    assert [file.name for file in ran.done.changed] == ["d/in.txt", "good.txt"]
    skipped = {file.name for file in ran.done.skipped}
    assert skipped == {"report.csv", "p.csv", "e.csv", "d/root", "d/again", "pipe", "two.txt", "names.txt"}
    for name in (*skipped, "d/root/etc/passwd", "d/again/again/in.txt", "../secret.txt", "/etc/passwd", "d", "\0"):
        with pytest.raises(SandboxFileMissing):
            _ = [part async for part in sandbox.client.fetch(session, name)]
    await sandbox.client.close(session)


async def test_folder_that_becomes_a_link_is_not_followed(sandbox: RunningSandbox) -> None:
    session = await sandbox.session()
    await sandbox.run(session, "import os; os.mkdir('d'); open('d/passwd', 'w').write('own')")
    assert b"".join([part async for part in sandbox.client.fetch(session, "d/passwd")]) == b"own"

    await sandbox.run(session, "os.rename('d', 'old'); os.symlink('/etc', 'd')")

    with pytest.raises(SandboxFileMissing):
        _ = [part async for part in sandbox.client.fetch(session, "d/passwd")]
    await sandbox.client.close(session)


async def test_hostile_names_are_collected_or_skipped(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(r"""
import os
for name in ("a\nb", b"\xff\xfe", "..hidden", "x" * 255, "ü.txt", "‮evil", " ", "-rf"):
    open(name, "w").write("x")
os.makedirs("/".join(["d"] * 60)); open("/".join(["d"] * 60) + "/deep", "w").write("x")
""")

    assert {file.name for file in ran.done.changed} == {"..hidden", "x" * 255, "ü.txt", " ", "-rf"}
    assert len(ran.done.skipped) == 4


async def test_folder_that_nobody_may_enter_is_removed_with_its_session(sandbox: RunningSandbox) -> None:
    session = await sandbox.session()
    await sandbox.run(session, 'import os; os.makedirs("a/b/c"); open("a/b/c/f", "w").write("x")')
    # While it can be read: later only root sees what is in it.
    [folder] = [path.parent for path in sandbox.folder.glob("*/sessions/*/a")]
    await sandbox.run(session, 'for path in ("a/b/c", "a/b", "a", "."): os.chmod(path, 0)')

    await sandbox.client.close(session)

    assert not folder.exists()


async def test_limits_are_those_of_the_settings(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(
        "import resource as r; print(*(r.getrlimit(each)[1] for each in (r.RLIMIT_AS, r.RLIMIT_NPROC, r.RLIMIT_FSIZE)))"
    )

    assert ran.text.split() == [str(2 * 256 << 20), LIMITS["processes"], str(32 << 20)]


async def test_put_file_beyond_the_disk_is_refused(sandbox: RunningSandbox) -> None:
    session = await sandbox.session()
    content = b"0" * (33 << 20)

    with pytest.raises(SandboxFileRefused, match="no room"):
        await sandbox.client.put_file(session, SandboxFile("big", len(content), sha256(content)), once(content))
    await sandbox.client.close(session)
