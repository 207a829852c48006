"""The cost of a run in Holdfast as a multiple of its cost in bare Temporal, measured in turns in one process."""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from tests.bench.loads import Flow, Load, Observed
from tests.bench.model_server import BenchModel
from tests.bench.processes import spent
from tests.bench.servers import Target, Targets, running_targets
from tests.bench.statements import statements_of_a_run

ROUNDS = 2
"""Of the measurements of a row, in turns, so that whatever else the machine does meets each target alike."""

CLIENTS = (1, 8, 16, 32)
CPU_CLIENTS = 8
WAITING_CLIENTS = 64
STREAMS = 50
INSTANT = BenchModel().name
ONE_SECOND = BenchModel(first_ms=1000).name
FIVE_SECONDS = BenchModel(words=50, interval_ms=100).name
NAME_WIDTH = 46


@dataclass
class Measured:
    """Observations of one target under one load, in all rounds, and its CPU seconds by process."""

    load: Load
    rounds: list[Observed] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def take(self, target: Target) -> None:
        before = target.processes.cpu_seconds()
        self.rounds.append(target.observe(self.load))
        for name, seconds in spent(before, target.processes.cpu_seconds()).items():
            self.cpu[name] += seconds

    @property
    def observed(self) -> Observed:
        return Observed.joined(self.rounds)

    @property
    def p50_ms(self) -> float:
        return median(self.observed.runs) * 1000

    @property
    def first_delta_ms(self) -> float:
        return median(self.observed.first_deltas) * 1000

    @property
    def runs_per_second(self) -> float:
        return self.observed.runs_per_second

    @property
    def cpu_ms(self) -> dict[str, float]:
        """Of one run, by process."""
        runs = len(self.observed.runs) + len(self.rounds) * self.load.warm_up_runs
        return {name: seconds * 1000 / runs for name, seconds in sorted(self.cpu.items())}


@dataclass(frozen=True)
class Row:
    """A figure of the floor and of each Holdfast, and the target for their ratio, if it has one."""

    name: str
    floor: float
    figures: Sequence[float]
    reach: str = ""

    def __str__(self) -> str:
        figures = "".join(f"{figure:>14.1f} {figure / self.floor:>6.2f}" for figure in self.figures)
        return f"{self.name:<{NAME_WIDTH}}{self.floor:>8.1f}{figures}   {self.reach}".rstrip()


def measure_comparison(on_postgres: bool, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder, running_targets(Path(folder), on_postgres) as targets:
        print(f"{psutil.cpu_count()} cores; the clients share them with all servers\n")
        _print_memory("before any run", targets)
        print(_header(targets))
        comparison = Comparison(targets, seconds)
        for row in comparison.rows():
            print(row, flush=True)
        print(f"\nCPU of a run at {CPU_CLIENTS} clients, ms by process")
        for name, cpu_ms in comparison.cpu.items():
            print(f"  {name:<14} {_by_process(cpu_ms)}")
        _print_memory("after all runs", targets)
    print("\nDatabase statements, BEGIN and COMMIT not counted")
    print("  " + ", ".join(f"{name} {count}" for name, count in asyncio.run(statements_of_a_run(on_postgres)).items()))


def _print_memory(when: str, targets: Targets) -> None:
    print(f"\nMemory {when}, MiB PSS")
    for target in targets.holdfast:
        print(f"  {target.name:<14} {_by_process(target.processes.mebibytes())}")


class Comparison:
    def __init__(self, targets: Targets, seconds: float) -> None:
        self._targets = targets
        self._seconds = seconds
        self._floor_p50_ms = 0.0
        self.cpu: dict[str, dict[str, float]] = {}

    def rows(self) -> Iterator[Row]:
        for clients in CLIENTS:
            yield from self._polled(clients)
        yield self._waiting()
        yield from self._tool_calls()
        yield from self._first_deltas()
        yield self._streams()

    def _polled(self, clients: int) -> Iterator[Row]:
        """Plain polls and long ones in turns with the floor."""
        plain, long = (self._load(flow, clients, INSTANT) for flow in (Flow.PLAIN_POLLS, Flow.LONG_POLLS))
        floor, *holdfast = self._in_turns(
            (self._targets.floor, plain),
            *((target, load) for load in (plain, long) for target in self._targets.holdfast),
        )
        plain_polls, long_polls = holdfast[: len(holdfast) // 2], holdfast[len(holdfast) // 2 :]
        for polls, measured in (("plain polls", plain_polls), ("long polls", long_polls)):
            if clients == 1:
                self._floor_p50_ms = floor.p50_ms
                yield Row(f"run p50 ms, 1 client, {polls}", floor.p50_ms, [each.p50_ms for each in measured], "≤ 1.7")
            else:
                figures = [each.runs_per_second for each in measured]
                yield Row(f"runs/s, {clients} clients, {polls}", floor.runs_per_second, figures, "≥ 0.6")
        if clients == CPU_CLIENTS:
            self.cpu = self._by_target(floor, plain_polls)
            totals = [sum(each.cpu_ms.values()) for each in plain_polls]
            yield Row(f"CPU ms of a run, {clients} clients, plain polls", sum(floor.cpu_ms.values()), totals, "≤ 1.6")

    def _waiting(self) -> Row:
        load = self._load(Flow.PLAIN_POLLS, WAITING_CLIENTS, ONE_SECOND)
        floor, *holdfast = self._in_turns(*((each, load) for each in (self._targets.floor, *self._targets.holdfast)))
        figures = [each.runs_per_second for each in holdfast]
        return Row(f"runs/s, {WAITING_CLIENTS} clients, 1 s model", floor.runs_per_second, figures, "≥ 0.8")

    def _tool_calls(self) -> Iterator[Row]:
        load = self._load(Flow.TOOL_CALL, 1, INSTANT)
        floor, *holdfast = self._in_turns(*((each, load) for each in (self._targets.floor, *self._targets.holdfast)))
        figures = [each.p50_ms for each in holdfast]
        yield Row("function call p50 ms, 1 client", self._floor_p50_ms, figures, "≤ 2.5")
        yield Row("function call, beside the floor's own", floor.p50_ms, figures)

    def _first_deltas(self) -> Iterator[Row]:
        model, floor, *holdfast = self._in_turns(
            (self._targets.model, self._load(Flow.MODEL_STREAM, 1, INSTANT)),
            *((each, self._load(Flow.STREAM, 1, INSTANT)) for each in (self._targets.floor, *self._targets.holdfast)),
        )
        own, *figures = (each.first_delta_ms - model.first_delta_ms for each in (floor, *holdfast))
        yield Row("first delta ms - the model's own, 1 stream", self._floor_p50_ms, figures, "≤ 0.8")
        yield Row("first delta, beside the floor's own", own, figures)

    def _streams(self) -> Row:
        """Whole streams of five seconds, of which Holdfast's own with one client are the measure."""
        one, many = (
            Load(Flow.STREAM, clients, FIVE_SECONDS, self._seconds, runs_each=1, warm_up_runs=0)
            for clients in (1, STREAMS)
        )
        alone = self._in_turns(*((target, one) for target in self._targets.holdfast))
        together = self._in_turns(*((target, many) for target in self._targets.holdfast))
        figures = [crowd.p50_ms / single.p50_ms for crowd, single in zip(together, alone, strict=True)]
        return Row(f"{STREAMS} streams of 5 s, p50 / that of one", 1, figures, "≤ 1.3")

    def _load(self, flow: Flow, clients: int, model: str) -> Load:
        return Load(flow, clients, model, self._seconds)

    def _in_turns(self, *loads: tuple[Target, Load]) -> list[Measured]:
        measured = [Measured(load) for _, load in loads]
        for _ in range(ROUNDS):
            for each, (target, _) in zip(measured, loads, strict=True):
                each.take(target)
        return measured

    def _by_target(self, floor: Measured, holdfast: Sequence[Measured]) -> dict[str, dict[str, float]]:
        names = ["floor", *(target.name for target in self._targets.holdfast)]
        return {name: each.cpu_ms for name, each in zip(names, (floor, *holdfast), strict=True)}


def _header(targets: Targets) -> str:
    names = "".join(f"{target.name:>14} {'ratio':>6}" for target in targets.holdfast)
    return f"{'':<{NAME_WIDTH}}{'floor':>8}{names}   reach"


def _by_process(figures: Mapping[str, float]) -> str:
    parts = ", ".join(f"{name} {figure:.1f}" for name, figure in figures.items())
    return f"{sum(figures.values()):.0f} = {parts}"
