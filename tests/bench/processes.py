"""CPU and memory of server processes by name. They are found in the process tree, whatever started them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from tests.cli.program import command_line

MEBIBYTE = 1024 * 1024


def process_name(command: Sequence[str]) -> str:
    """As in `temporal`, `valkey`, `postgres`; of Python's programs the command (`worker`) or the module."""
    program = Path(command[0]).name if command else ""
    for name in ("temporal", "valkey", "redis", "postgres"):
        if program.startswith(name):
            return name
    if "-m" not in command[:-1]:
        return "python" if program.startswith("python") else program
    module, *arguments = command[list(command).index("-m") + 1 :]
    commands = [argument for argument in arguments if not argument.startswith("-")]
    return commands[0] if module == "cli.main" and commands else module.rpartition(".")[2]


class ProcessTrees:
    """Processes and all their descendants."""

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = roots

    def cpu_seconds(self) -> dict[str, float]:
        return self._sum(lambda process: sum(process.cpu_times()[:2]))

    def mebibytes(self) -> dict[str, float]:
        """Memory in proportional shares (PSS): what several processes share counts once."""
        return self._sum(lambda process: process.memory_full_info().pss / MEBIBYTE)

    def _sum(self, of: Callable[[psutil.Process], float]) -> dict[str, float]:
        sums: dict[str, float] = defaultdict(float)
        for root in self._roots:
            process = psutil.Process(root)
            for each in (process, *process.children(recursive=True)):
                # A process that has just ended is in no sum.
                if command := command_line(each):
                    sums[process_name(command)] += of(each)
        return sums


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: seconds - before.get(name, 0) for name, seconds in after.items()}
