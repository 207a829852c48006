"""The start of a program that serves, and what is settled when it is ready.

What a start loads, some 600,000 objects, lives as long as the program. Python's garbage collector would look through
it again and again, at each full collection for 0.3 s in which nothing else moves. So nothing is collected during the
start, which makes it a second shorter, and what is held then is never looked at again.

Afterwards it collects more seldom than by default. Most objects of a request or run are freed when it ends, without the
collector; one that comes in between only looks at them in vain.
"""

import gc

from cli.output import say

COLLECT_AFTER_OBJECTS = 2_000
"""Python's default is 700. What a failed request held, which can be megabytes, is kept until then: of 150 broken calls
with prompts of 3 MB at most 107 MB at a time, where it is 39 by default and 313 after 10,000 objects."""


def begin() -> None:
    """Called first, before what is served is imported."""
    gc.disable()


def say_ready(text: str) -> None:
    """Print `text`, which says where to find what is served now."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS)
    gc.enable()
    say(text)
