"""How pytest-xdist's processes get the tests that have no group."""

from itertools import chain

from tests.batches import MAX_BATCH, batches


def test_batches_are_of_one_module_in_order_and_small_at_the_end() -> None:
    nodeids = [f"tests/test_{module}.py::test[{number}]" for module in range(9) for number in range(200)]

    found = list(batches(nodeids))

    assert list(chain.from_iterable(found)) == nodeids
    assert all(len({nodeid.partition("::")[0] for nodeid in batch}) == 1 for batch in found)
    assert (max(map(len, found)), len(found[0]), len(found[-1])) == (MAX_BATCH, MAX_BATCH, 1)


def test_few_tests_are_given_out_one_by_one() -> None:
    nodeids = [f"tests/test_a.py::test_{number}" for number in range(20)]

    assert list(batches(nodeids)) == [[nodeid] for nodeid in nodeids]
