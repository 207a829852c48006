"""The start of a program that serves, and what is settled when it is ready.

What a start loads, some 600,000 objects, lives as long as the program. Python's garbage collector would look through
it again and again, at each full collection for 0.3 s in which nothing else moves. So nothing is collected during the
start, which makes it a second shorter, and what is held then is never looked at again.
"""

import gc

from cli.output import say


def begin() -> None:
    """Called first, before what is served is imported."""
    gc.disable()


def say_ready(text: str) -> None:
    """Print `text`, which says where to find what is served now."""
    gc.freeze()
    gc.enable()
    say(text)
