"""Code that looks for a way out: to other processes, the network, the kernel, the server's secrets."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.sandbox_process import SECRET, RunningSandbox

CALLS = """
import ctypes, errno, platform
libc = ctypes.CDLL(None, use_errno=True)
column = 0 if platform.machine() == "x86_64" else 1
def call(name, numbers, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(numbers[column], *arguments)
    print(name, "GOT" if result >= 0 else errno.errorcode[ctypes.get_errno()])
"""


@dataclass
class Listeners:
    port: int
    abstract: str
    reached: list[str] = field(default_factory=list)


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    """Servers of this machine that code in a box must not reach."""
    name = f"holdfast-test-{os.urandom(8).hex()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{name}")
        abstract.listen()
        found = Listeners(tcp.getsockname()[1], name)

        def accept(server: socket.socket, kind: str) -> None:
            with suppress(OSError):
                server.accept()
                found.reached.append(kind)

        for server, kind in ((tcp, "tcp"), (abstract, "abstract")):
            threading.Thread(target=accept, args=(server, kind), daemon=True).start()
        yield found
        for server in (tcp, abstract):
            # Or the thread that waits would keep it open.
            server.shutdown(socket.SHUT_RDWR)
        assert found.reached == []


async def test_other_processes_and_the_servers_environment_are_not_in_proc(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("""
import os
print(len([name for name in os.listdir("/proc") if name.isdigit()]) < 5)
for path in ("/proc/1/environ", "/proc/self/environ", "/proc/1/maps", "/proc/1/root/etc/shadow", "/proc/kcore"):
    try:
        print(path, open(path, "rb").read(100_000))
    except OSError as error:
        print(path, error.strerror)
""")

    first, *others = ran.text.splitlines()
    assert first == "True"
    assert SECRET not in ran.text
    assert all("OPENAI" not in line and "root:" not in line for line in others)


async def test_network_of_every_family_is_refused(sandbox: RunningSandbox, listeners: Listeners) -> None:
    ran = await sandbox.run_alone(f"""
import socket
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_VSOCK, socket.AF_PACKET, 38, 44):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(family, kind)
            print("OPEN", family, kind)
        except OSError as error:
            assert error.errno == 97, error
try:
    socket.create_connection(("127.0.0.1", {listeners.port}))
    print("OPEN")
except OSError:
    pass
try:
    print("OPEN", socket.gethostbyname("example.org"))
except OSError:
    print("end")
""")

    assert ran.text == "end\n"


async def test_abstract_socket_of_the_machine_is_not_reached(sandbox: RunningSandbox, listeners: Listeners) -> None:
    ran = await sandbox.run_alone(f"""
import socket
try:
    socket.socket(socket.AF_UNIX).connect("\\0{listeners.abstract}")
    print("OPEN")
except OSError as error:
    print(error.strerror)
""")

    assert ran.text == "Connection refused\n"


async def test_tracing_and_memory_of_other_processes_are_refused(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(f"""{CALLS}
call("ptrace", (101, 117), 16, 1, 0, 0)
call("process_vm_readv", (310, 270), 1, 0, 0, 0, 0, 0)
call("process_vm_writev", (311, 271), 1, 0, 0, 0, 0, 0)
""")

    assert ran.text == "ptrace EPERM\nprocess_vm_readv EPERM\nprocess_vm_writev EPERM\n"


async def test_mounts_and_namespaces_are_refused(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(f"""{CALLS}
call("mount", (165, 40), b"none", b"/mnt/data", b"tmpfs", 0, 0)
call("umount2", (166, 39), b"/tmp", 0)
call("unshare", (272, 97), 0x10000000)
call("clone", (56, 220), 0x10000000, 0, 0, 0, 0)
call("setns", (308, 268), 0, 0)
call("chroot", (161, 51), b"/mnt/data")
call("pivot_root", (155, 41), b".", b".")
call("open_tree", (428, 428), -100, b"/", 0)
call("clone3", (435, 435), 0, 0)
""")

    *refused, clone3 = ran.text.splitlines()
    assert [line.split()[1] for line in refused] == ["EPERM"] * 8
    assert clone3 == "clone3 ENOSYS"


async def test_nothing_outside_the_sessions_folder_and_tmp_can_be_written(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("""
import os
for folder in "/ /usr /usr/lib /usr/local /opt /opt/sandbox /opt/sandbox/kernel.py /etc /dev /mnt /proc".split():
    path = folder if folder.endswith(".py") else folder + "/x"
    try:
        open(path, "w")
        print("WROTE", path)
    except OSError:
        pass
print(sorted(name for name in os.listdir("/")))
""")

    assert "WROTE" not in ran.text
    assert not {"root", "home", "var", "work", "srv", "run"} & set(ran.text.replace("'", " ").replace(",", " ").split())


async def test_environment_source_and_home_of_the_server_are_not_there(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(f"""
import os, glob, sys
print(dict(os.environ))
print([path for path in ({str(Path(__file__).parents[3])!r}, "/root", "/home", "/var", "/srv", {str(sandbox.folder)!r}) if os.path.exists(path)])
print(os.getuid(), [line for line in open("/proc/self/status") if line.startswith("CapEff")])
print([name for name in sys.modules if name.split(".")[0] in ("infra", "models", "cli")])
""")  # noqa: E501

    environment, paths, user, modules = ran.text.splitlines()
    assert SECRET not in environment
    assert "HOLDFAST" not in environment
    assert paths == modules == "[]"
    assert user == "1000 ['CapEff:\\t0000000000000000\\n']"


async def test_keyring_is_refused(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(f"""{CALLS}
call("keyctl", (250, 219), 0, -3, 0, 0, 0)
call("add_key", (248, 217), b"user", b"a", b"b", 1, -3)
call("request_key", (249, 218), b"user", b"a", 0, 0)
""")

    assert [line.split()[1] for line in ran.text.splitlines()] == ["EPERM"] * 3


async def test_exotic_parts_of_the_kernel_are_refused(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone(f"""{CALLS}
import os
call("io_uring_setup", (425, 425), 1, 0)
call("bpf", (321, 280), 0, 0, 0)
call("userfaultfd", (323, 282), 0)
call("syslog", (103, 116), 3, 0, 0)
call("perf_event_open", (298, 241), 0, 0, 0, 0, 0)
call("memfd_create", (319, 279), b"x", 0)
call("memfd_secret", (447, 447), 0)
call("mq_open", (240, 180), b"x", 64, 0, 0)
call("shmget", (29, 194), 1, 4096, 512)
call("personality", (135, 92), 0)
call("newer than the filter", (463, 463), 0)
print(sorted(os.listdir("/dev")))
""")

    *calls, devices = ran.text.splitlines()
    assert [line.split()[-1] for line in calls] == ["EPERM"] * 10 + ["ENOSYS"]
    harmless = "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero"
    assert devices == str(harmless.split())


async def test_proc_files_that_rule_the_machine_cannot_be_written(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("""
import os
for path, value in (("/proc/1/mem", "x"), ("/proc/self/oom_score_adj", "-1000"), ("/proc/sysrq-trigger", "b"),
                    ("/proc/sys/kernel/core_pattern", "|/x"), ("/proc/sys/vm/overcommit_memory", "1")):
    try:
        descriptor = os.open(path, os.O_WRONLY)
        os.write(descriptor, value.encode())
        print("WROTE", path)
    except OSError:
        pass
print(open("/proc/self/oom_score_adj").read())
""")

    assert "WROTE" not in ran.text
    assert ran.text.split()[-1] == "1000"


async def test_setuid_programs_gain_nothing(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("""
import os, subprocess
for program in ("su", "mount", "passwd", "newgrp", "chsh"):
    path = "/usr/bin/" + program
    if os.path.exists(path):
        done = subprocess.run([path, "-c", "id"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert "uid=0" not in done.stdout, done
try:
    os.setuid(0)
    print("ROOT")
except OSError as error:
    print(error.strerror)
""")

    assert ran.text in ("Operation not permitted\n", "Invalid argument\n")


async def test_only_pipes_and_devnull_are_open(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("""
import os
for name in os.listdir("/proc/self/fd"):
    try:
        print(os.readlink("/proc/self/fd/" + name).split(":")[0])
    except OSError:
        pass
""")

    assert set(ran.text.split()) <= {"pipe", "/dev/null", "/proc/2/fd"}


async def test_limits_cannot_be_raised(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("""
import os, resource
for name in ("RLIMIT_NPROC", "RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CPU", "RLIMIT_MEMLOCK"):
    try:
        resource.setrlimit(getattr(resource, name), (-1, -1))
        print("RAISED", name)
    except (OSError, ValueError):
        pass
try:
    os.nice(-10)
    print("RAISED nice")
except OSError:
    print("end")
""")

    assert ran.text == "end\n"


async def test_libraries_of_later_sessions_cannot_be_changed(sandbox: RunningSandbox) -> None:
    ran = await sandbox.run_alone("""
import site, sys
for folder in {*sys.path, *site.getsitepackages(), "/opt/packages"} - {"/mnt/data"}:
    try:
        open(folder + "/evil.pth", "w")
        print("WROTE", folder)
    except OSError:
        pass
print("end")
""")

    assert ran.text == "end\n"
