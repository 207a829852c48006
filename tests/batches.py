"""A pytest plugin: pytest-xdist hands out tests without a group in batches of one module, not one by one.

A process sets up a module's fixtures once for a batch, and there is less to schedule: the scheduler looks at all units
that a process has had after each test.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController

MAX_BATCH = 8
# The last batches are smaller, so that all processes end together.
PARTS_OF_THE_REST = 100


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> "LoadBatchScheduling | None":
    return LoadBatchScheduling(config, log) if config.getoption("dist") == "loadgroup" else None


class LoadBatchScheduling(LoadGroupScheduling):  # type: ignore[misc]
    """Groups first, the largest before the others, then batches in the order of collection."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        # Batches by size would change the kind of a process' database more than once.
        config.option.loadscopereorder = False
        super().__init__(config, log)
        self._units: dict[str, str] = {}
        self._has_sorted_groups = False

    def schedule(self) -> None:
        if not self._units:
            self._units = self._units_of(next(iter(self.registered_collections.values())))
        super().schedule()

    def _units_of(self, nodeids: Sequence[str]) -> dict[str, str]:
        groups = {nodeid: super(LoadBatchScheduling, self)._split_scope(nodeid) for nodeid in nodeids}
        for batch in batches([nodeid for nodeid, group in groups.items() if group == nodeid]):
            groups |= dict.fromkeys(batch, batch[0])
        return groups

    def _split_scope(self, nodeid: str) -> str:
        return self._units[nodeid]

    def _assign_work_unit(self, node: WorkerController) -> None:
        if not self._has_sorted_groups:
            self._has_sorted_groups = True
            groups = [unit for unit, tests in self.workqueue.items() if unit not in tests]
            for group in sorted(groups, key=lambda unit: len(self.workqueue[unit])):
                self.workqueue.move_to_end(group, last=False)
        super()._assign_work_unit(node)


def batches(nodeids: Sequence[str]) -> Iterator[list[str]]:
    """Consecutive tests of one module."""
    rest = len(nodeids)
    for _, tests in groupby(nodeids, lambda nodeid: nodeid.partition("::")[0]):
        of_module = list(tests)
        while of_module:
            size = min(MAX_BATCH, max(1, rest // PARTS_OF_THE_REST))
            yield of_module[:size]
            rest -= len(of_module[:size])
            of_module = of_module[size:]
