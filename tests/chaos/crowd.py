"""The many runs that are under way while faults happen: of every kind, in random order, with random delays."""

from collections.abc import Callable
from random import Random

from tests.chaos.field import Field
from tests.chaos.runs import Plan
from tests.chaos.scripts import CODE, FUNCTIONS, SEARCH, Turn

LONGEST_MODEL_PAUSE, LONGEST_WAIT, LATEST_CANCEL = 0.3, 8.0, 4.0

Made = tuple[Plan, list[Turn]]


def begin_crowd(field: Field, count: int, within_seconds: float) -> None:
    """Begin `count` runs at random moments."""
    for number in range(count):
        plan, turns = KINDS[number % len(KINDS)](field.random)
        field.begin(field.add(plan, *turns), after=field.random.uniform(0, within_seconds))


def _text(random: Random) -> Made:
    return Plan("text", makes_thread_first=random.random() < 0.5), [_says(random)]


def _stream(random: Random) -> Made:
    return Plan("stream", streams=True, makes_thread_first=random.random() < 0.5), [_says(random)]


def _tools(random: Random) -> Made:
    return Plan("tools"), [*_calls(random), _says(random)]


def _streamed_tools(random: Random) -> Made:
    return Plan("streamed tools", streams=True), [*_calls(random), _says(random)]


def _cancelled(random: Random) -> Made:
    before = _calls(random) if random.random() < 0.3 else []
    after = random.uniform(0, LATEST_CANCEL)
    return Plan("cancel", streams=random.random() < 0.5, cancel_after=after), [*before, _says(random)]


def _long(random: Random) -> Made:
    return Plan("long answer", streams=random.random() < 0.5), [Turn(words=20, pause_seconds=LONGEST_MODEL_PAUSE)]


def _late(random: Random) -> Made:
    late = random.uniform(LONGEST_WAIT / 2, LONGEST_WAIT)
    return Plan("late outputs", streams=random.random() < 0.5, answer_after=late), [*_calls(random), _says(random)]


def _searches(random: Random) -> Made:
    return Plan("searches", streams=random.random() < 0.5), [*_searching(random), _says(random)]


def _mixed(random: Random) -> Made:
    """Searches and functions in one turn."""
    mixed = random.sample([SEARCH, *FUNCTIONS[:2]], k=3)
    return Plan("searches and tools", streams=random.random() < 0.5), [Turn(functions=mixed), _says(random)]


def _code(random: Random) -> Made:
    after = random.uniform(0, LATEST_CANCEL) if random.random() < 0.3 else None
    plan = Plan("code", streams=random.random() < 0.5, cancel_after=after)
    return plan, [Turn(functions=random.sample([CODE, SEARCH, *FUNCTIONS[:1]], k=random.randint(1, 3))), _says(random)]


def _cancelled_search(random: Random) -> Made:
    plan = Plan("cancelled search", streams=random.random() < 0.5, cancel_after=random.uniform(0, LATEST_CANCEL / 2))
    return plan, [*_searching(random), _says(random)]


KINDS: tuple[Callable[[Random], Made], ...] = (
    *(_text, _stream, _tools, _streamed_tools, _cancelled, _long, _late),
    *(_searches, _mixed, _cancelled_search, _code),
)


def _says(random: Random) -> Turn:
    return Turn(words=random.randint(1, 20), pause_seconds=random.uniform(0, LONGEST_MODEL_PAUSE / 2))


def _searching(random: Random) -> list[Turn]:
    return [Turn(functions=[SEARCH] * random.randint(1, 3)) for _ in range(random.randint(1, 3))]


def _calls(random: Random) -> list[Turn]:
    return [Turn(functions=FUNCTIONS[: random.randint(1, 3)]) for _ in range(random.randint(1, 2))]
