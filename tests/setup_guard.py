"""A pytest plugin: a session, package or module fixture that is set up more often than its parameters explain fails.

pytest sets shared fixtures up again when it re-sorts the suite, without a warning: tests pass but take much longer.
"""

from collections.abc import Iterator

import pytest

SETUPS = pytest.StashKey[set[object]]()


def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
    if fixturedef.scope == "function":
        return
    # By their values: the indexes that pytest assigns are the cause of the repetition.
    parameters = frozenset((name, repr(value)) for name, value in _parameters_of(fixturedef, request._pyfuncitem))
    setup = (fixturedef, request.node, parameters)
    setups = request.config.stash.setdefault(SETUPS, set())
    if setup in setups:
        explained = f" for {dict(sorted(parameters))}" if parameters else ""
        pytest.fail(f"The {fixturedef.scope} fixture {fixturedef.argname!r} is set up a second time{explained}.")
    setups.add(setup)


def _parameters_of(fixturedef: pytest.FixtureDef[object], item: pytest.Function) -> Iterator[tuple[str, object]]:
    """The test's parameters that reach the fixture, directly or through the fixtures that it uses."""
    if not hasattr(item, "callspec"):
        return
    names, found = [fixturedef.argname], set[str]()
    while names:
        name = names.pop()
        if name not in found:
            found.add(name)
            definitions = item._fixtureinfo.name2fixturedefs.get(name, ())
            names += [argument for definition in definitions for argument in definition.argnames]
    yield from ((name, value) for name, value in item.callspec.params.items() if name in found)
