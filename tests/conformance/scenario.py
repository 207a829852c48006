"""The registry of a client's scenarios, and their commonest assertion, for programs of every SDK."""

from collections.abc import Callable
from typing import Any

Scenario = Callable[[Any], None]


class Scenarios:
    """Functions by the operation that each tries. A function gets the program's client."""

    def __init__(self) -> None:
        self.by_operation: dict[str, Scenario] = {}

    def operation(self, name: str) -> Callable[[Scenario], Scenario]:
        """Register the function that tries the operation of this name."""

        def register(scenario: Scenario) -> Scenario:
            self.by_operation[name] = scenario
            return scenario

        return register


def equal(actual: object, expected: object) -> None:
    if actual != expected:
        raise AssertionError(f"got {actual!r}, expected {expected!r}")
