"""The figures of the table: shares of a run, and multiples of the floor."""

from tests.bench.comparison import Measured, Row
from tests.bench.loads import Flow, Load, Observed
from tests.bench.processes import ProcessTrees
from tests.bench.servers import Target

LOAD = Load(Flow.PLAIN_POLLS, clients=2, model="words-16-0-0", seconds=5, warm_up_runs=1)


class SpendingProcesses(ProcessTrees):
    """Its CPU time grows by a second with each reading."""

    def __init__(self) -> None:
        super().__init__([])
        self._seconds = 0.0

    def cpu_seconds(self) -> dict[str, float]:
        self._seconds += 1
        return {"worker": self._seconds}


def _measured(*rounds: Observed) -> Measured:
    left = list(rounds)
    target = Target("some", lambda _: left.pop(0), SpendingProcesses())
    measured = Measured(LOAD)
    for _ in rounds:
        measured.take(target)
    return measured


def test_rounds_are_joined() -> None:
    measured = _measured(Observed([0.1, 0.3], [], 1), Observed([0.2], [], 2))

    assert measured.p50_ms == 200
    assert measured.runs_per_second == 1


def test_cpu_is_divided_by_all_runs_including_warm_up() -> None:
    measured = _measured(Observed([0.1, 0.3], [], 1), Observed([0.2], [], 2))

    # A second in each round; three runs and one in each round before it.
    assert measured.cpu_ms == {"worker": 400}


def test_row_has_ratio_to_floor_after_each_figure() -> None:
    row = Row("runs/s", 30, [15, 24], "≥ 0.6")

    assert str(row).split() == ["runs/s", "30.0", "15.0", "0.50", "24.0", "0.80", "≥", "0.6"]


def test_loads_and_observations_are_serialized() -> None:
    observed = Observed([0.1], [0.2], 3)

    assert Load.from_json(LOAD.to_json()) == LOAD
    assert Observed.from_json(observed.to_json()) == observed
