"""The start of a program that serves, and what is settled when it is ready.

What a start loads, some 600,000 objects, lives as long as the program. Python's garbage collector would look through
it again and again, at each full collection for 0.3 s in which nothing else moves. So nothing is collected during the
start, which makes it a second shorter, and what is held then is never looked at again.

Afterwards it collects more seldom than by default. Most objects of a request or run are freed when it ends, without the
collector; one that comes in between only looks at them in vain.
"""

import gc

from cli.output import say

COLLECT_AFTER_OBJECTS = 10_000
"""Python's default is 700. Collections of 10,000 objects take 2 ms, and of 20,000 up to 16; they find as much."""

FIVE_AT_A_TIME = 5
"""Each older generation is collected with every fifth collection of the younger one, by default with every tenth."""


def begin() -> None:
    """Called first, before what is served is imported."""
    gc.disable()


def say_ready(text: str) -> None:
    """Print `text`, which says where to find what is served now."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS, FIVE_AT_A_TIME, FIVE_AT_A_TIME)
    gc.enable()
    say(text)
