"""The program's messages to the user, on stdout."""

import os
import sys


def say(text: str) -> None:
    """Print `text` now. A reader that has gone away, as in `holdfast up | head -1`, is no reason to stop serving."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Python would try once more at exit, and fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
