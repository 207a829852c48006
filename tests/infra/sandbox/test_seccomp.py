"""The filter of system calls, run by an interpreter of its instructions, for every kind of processor."""

import struct
from functools import cache

import pytest

from infra.sandbox.seccomp import (
    ALLOW,
    DENIED,
    EAFNOSUPPORT,
    ENOSYS,
    EPERM,
    ERRNO,
    KILL,
    MACHINES,
    UnknownMachine,
    filter_program,
)

NAMES = {"read": (0, 63), "openat": (257, 56), "execve": (59, 221), "mmap": (9, 222), "futex": (202, 98)}
SOCKET, CLONE, CLONE3, IOCTL = (41, 198), (56, 220), (435, 435), (16, 29)


@cache
def instructions(machine: str) -> list[tuple[int, int, int, int]]:
    return list(struct.iter_unpack("<HBBI", filter_program(machine)))


def verdict(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the kernel does with a call."""
    found = MACHINES[machine]
    padded = [*arguments, *[0] * (6 - len(arguments))]
    call = struct.pack("<IIQ6Q", number, audit or found.audit, 0, *padded)
    program = instructions(machine)
    at, accumulator = 0, 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        match code:
            case 0x20:
                [accumulator] = struct.unpack_from("<I", call, value)
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x45:
                at += if_true if accumulator & value else if_false
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize("machine", MACHINES)
def test_denied_calls_are_denied_and_others_allowed(machine: str) -> None:
    column = MACHINES[machine].column

    for numbers in DENIED.values():
        if (number := numbers[column]) is not None:
            assert verdict(machine, number) == ERRNO | EPERM
    for numbers in NAMES.values():
        assert verdict(machine, numbers[column]) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_no_number_is_denied_twice(machine: str) -> None:
    numbers = [each[MACHINES[machine].column] for each in DENIED.values()]

    present = [number for number in numbers if number is not None]

    assert len(present) == len(set(present))


@pytest.mark.parametrize("machine", MACHINES)
def test_sockets_are_of_one_family(machine: str) -> None:
    number = SOCKET[MACHINES[machine].column]

    assert [verdict(machine, number, family) == ALLOW for family in range(50)] == [each == 1 for each in range(50)]
    assert verdict(machine, number, 2) == ERRNO | EAFNOSUPPORT


@pytest.mark.parametrize("machine", MACHINES)
def test_processes_and_threads_are_made_but_no_namespaces(machine: str) -> None:
    column = MACHINES[machine].column
    fork, thread = 17 | 0x01200000, 0x003D0F00

    assert verdict(machine, CLONE[column], fork) == verdict(machine, CLONE[column], thread) == ALLOW
    for bit in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(machine, CLONE[column], fork | bit) == ERRNO | EPERM
    assert verdict(machine, CLONE3[column]) == ERRNO | ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_is_typed_into_terminals(machine: str) -> None:
    number = IOCTL[MACHINES[machine].column]

    assert verdict(machine, number, 0, 0x5412) == verdict(machine, number, 0, 0x541C) == ERRNO | EPERM
    assert verdict(machine, number, 0, 0x5401) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_other_ways_to_call_the_kernel_are_closed(machine: str) -> None:
    # 32-bit programs, whose calls have other numbers; x32; and calls that are newer than the filter.
    assert verdict(machine, 1, audit=0x40000003) == KILL
    assert verdict(machine, 0x40000000 | 1) == ERRNO | ENOSYS
    assert verdict(machine, 463) == ERRNO | ENOSYS


def test_processor_without_a_filter_is_refused() -> None:
    with pytest.raises(UnknownMachine, match="riscv64"):
        filter_program("riscv64")
