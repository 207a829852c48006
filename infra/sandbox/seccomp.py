"""The filter of system calls for code in a box, as a program of the kernel's classic BPF. Needs no libseccomp.

What is not named here is allowed: the box's namespaces, limits and missing capabilities bound the rest. The filter
takes away what they do not: calls with a history of holes in the kernel, and memory that no limit counts.
"""

import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass

LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
# struct seccomp_data: the number of the call, the architecture, and the low halves of its arguments.
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24
AF_UNIX = 1
NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
FIRST_UNKNOWN_CALL = 463
"""Newer than any that was looked at. The bit of x32 is above it too."""


@dataclass(frozen=True, slots=True)
class Machine:
    """`audit` is the kernel's AUDIT_ARCH. `column` is the place of its numbers in the tables below."""

    audit: int
    column: int


MACHINES = {"x86_64": Machine(0xC000003E, 0), "aarch64": Machine(0xC00000B7, 1)}

DENIED: dict[str, tuple[int | None, int | None]] = {
    # Other processes.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # Mounts and namespaces.
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    # Keys, and parts of the kernel that ordinary programs do not use.
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    "lsm_set_self_attr": (460, 460),
    "personality": (135, 92),
    "modify_ldt": (154, None),
    # Memory that is no process's, so that nothing would count it.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # Files under way between sockets.
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "semget": (64, 190),
    "shmget": (29, 194),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # The machine.
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "vhangup": (153, 58),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
    "iopl": (172, None),
    "ioperm": (173, None),
}
SOCKET, CLONE, CLONE3, IOCTL = (41, 198), (56, 220), (435, 435), (16, 29)


class UnknownMachine(Exception):
    def __init__(self, machine: str) -> None:
        super().__init__(f"there is no filter of system calls for processors of the kind {machine}")


def filter_program(machine: str | None = None) -> bytes:
    """The filter as the kernel reads it, for `machine` or this one. Raises `UnknownMachine`."""
    name = machine or platform.machine()
    if name not in MACHINES:
        raise UnknownMachine(name)
    return b"".join(_instructions(MACHINES[name]))


def _instructions(machine: Machine) -> Iterator[bytes]:
    yield _instruction(LOAD, ARCHITECTURE)
    yield _instruction(JUMP_EQUAL, machine.audit, if_true=1)
    yield _instruction(RETURN, KILL)
    yield _instruction(LOAD, NUMBER)
    yield from _denied(JUMP_GREATER_EQUAL, FIRST_UNKNOWN_CALL, ENOSYS)
    # glibc then uses clone, whose flags a filter can see.
    yield from _denied(JUMP_EQUAL, CLONE3[machine.column], ENOSYS)
    for numbers in DENIED.values():
        if (number := numbers[machine.column]) is not None:
            yield from _denied(JUMP_EQUAL, number, EPERM)
    yield from _socket(SOCKET[machine.column])
    yield from _clone(CLONE[machine.column])
    yield from _ioctl(IOCTL[machine.column])
    yield _instruction(RETURN, ALLOW)


def _denied(comparison: int, number: int, error: int) -> Iterator[bytes]:
    yield _instruction(comparison, number, if_false=1)
    yield _instruction(RETURN, ERRNO | error)


def _socket(number: int) -> Iterator[bytes]:
    """No family but AF_UNIX: netlink, packets and a virtual machine's vsock pass by an empty network namespace."""
    yield _instruction(JUMP_EQUAL, number, if_false=4)
    yield _instruction(LOAD, FIRST_ARGUMENT)
    yield _instruction(JUMP_EQUAL, AF_UNIX, if_true=1)
    yield _instruction(RETURN, ERRNO | EAFNOSUPPORT)
    yield _instruction(RETURN, ALLOW)


def _clone(number: int) -> Iterator[bytes]:
    yield _instruction(JUMP_EQUAL, number, if_false=4)
    yield _instruction(LOAD, FIRST_ARGUMENT)
    # CLONE_NEWTIME is of clone3 and unshare alone: in clone, its bit is of the signal.
    yield _instruction(JUMP_ANY_BIT, NEW_NAMESPACES, if_false=1)
    yield _instruction(RETURN, ERRNO | EPERM)
    yield _instruction(RETURN, ALLOW)


def _ioctl(number: int) -> Iterator[bytes]:
    """Nothing is typed into a terminal that the server may have."""
    yield _instruction(JUMP_EQUAL, number, if_false=5)
    yield _instruction(LOAD, SECOND_ARGUMENT)
    yield _instruction(JUMP_EQUAL, TIOCSTI, if_true=1)
    yield _instruction(JUMP_EQUAL, TIOCLINUX, if_false=1)
    yield _instruction(RETURN, ERRNO | EPERM)
    yield _instruction(RETURN, ALLOW)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value & 0xFFFFFFFF)
