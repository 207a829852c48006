"""What `CodeSandbox` promises of files, shown with a real sandbox over its socket."""

import pytest

from infra.sandbox.errors import (
    SandboxFileMissing,
    SandboxFileRefused,
)
from models.code_cells import SandboxFile, SandboxSession
from tests.infra.sandbox.files import fetched, file_of, once, sha256
from tests.sandbox_process import RunningSandbox

pytestmark = pytest.mark.xdist_group("sandbox-contract")


async def test_put_file_is_read_by_both_names_and_is_no_change(
    sandbox: RunningSandbox, session: SandboxSession
) -> None:
    content = b"a,b\n1,2\n"

    await sandbox.client.put_file(session, file_of("in/data.csv", content), once(content), alias="file-abc")
    ran = await sandbox.run(session, "print(open('in/data.csv').read() == open('/mnt/data/file-abc').read())")

    assert ran.text == "True\n"
    assert (ran.done.changed, ran.done.skipped) == ((), ())
    assert (await sandbox.client.open(session)).files == (file_of("in/data.csv", content),)
    assert await fetched(sandbox, session, "in/data.csv") == content


async def test_file_that_is_not_what_was_said_is_refused_whole(
    sandbox: RunningSandbox, session: SandboxSession
) -> None:
    for said in (SandboxFile("x", 3, sha256(b"abcd")), SandboxFile("x", 4, sha256(b"other")), SandboxFile("x", 9, "")):
        with pytest.raises(SandboxFileRefused):
            await sandbox.client.put_file(session, said, once(b"abcd"))

    assert (await sandbox.run(session, "import os; os.listdir()")).text == "[]\n"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../x", "a//x", ".", "", "a\nb", "x" * 256, "a/" * 40 + "x"])
async def test_file_name_that_leads_elsewhere_is_refused(
    sandbox: RunningSandbox, session: SandboxSession, name: str
) -> None:
    with pytest.raises(SandboxFileRefused):
        await sandbox.client.put_file(session, file_of(name, b"x"), once(b"x"))


async def test_put_replaces_a_file_and_never_what_a_link_leads_to(
    sandbox: RunningSandbox, session: SandboxSession
) -> None:
    await sandbox.run(session, "import os; os.symlink('/tmp/elsewhere', 'x.txt'); os.symlink('/tmp', 'folder')")

    await sandbox.client.put_file(session, file_of("x.txt", b"new"), once(b"new"))
    with pytest.raises(SandboxFileRefused):
        await sandbox.client.put_file(session, file_of("folder/x.txt", b"new"), once(b"new"))

    assert (await sandbox.run(session, "os.path.islink('x.txt'), open('x.txt').read()")).text == "(False, 'new')\n"


async def test_changed_and_removed_files_are_named(sandbox: RunningSandbox, session: SandboxSession) -> None:
    await sandbox.client.put_file(session, file_of("kept", b"k"), once(b"k"))
    await sandbox.client.put_file(session, file_of("changed", b"c"), once(b"c"))
    await sandbox.client.put_file(session, file_of("removed", b"r"), once(b"r"))

    ran = await sandbox.run(
        session,
        "import os; os.remove('removed'); open('changed', 'w').write('C'); os.utime('changed', (0, 0))\n"
        "os.makedirs('out/deep'); open('out/deep/new', 'w').write('n'); open('kept', 'w').write('k')",
    )

    assert ran.done.changed == (file_of("changed", b"C"), file_of("out/deep/new", b"n"))
    assert ran.done.removed == ("removed",)
    assert await fetched(sandbox, session, "out/deep/new") == b"n"
    with pytest.raises(SandboxFileMissing):
        await fetched(sandbox, session, "removed")


async def test_files_of_calls_that_were_not_acknowledged_come_with_the_next_one(
    sandbox: RunningSandbox, session: SandboxSession
) -> None:
    await sandbox.run(session, "open('a', 'w').write('1'); open('b', 'w').write('1')")
    second = await sandbox.run(session, "import os; open('a', 'w').write('2'); os.remove('b')", call_id="call_2")
    await sandbox.client.acknowledge(session, "call_2")
    third = await sandbox.run(session, "open('c', 'w').write('3')")

    assert (second.done.changed, second.done.removed) == ((file_of("a", b"2"),), ("b",))
    assert (third.done.changed, third.done.removed) == ((file_of("c", b"3"),), ())
