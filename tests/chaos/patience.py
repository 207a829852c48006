"""How long the suite waits for a state."""

from collections.abc import Awaitable, Callable

from tests import program

PATIENCE_SECONDS = 180
"""`holdfast up` takes 5 s of CPU until it serves: a minute and more on two cores that others fill."""


async def until(condition: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    """As `program.until`."""
    await program.until(condition, otherwise, PATIENCE_SECONDS)
