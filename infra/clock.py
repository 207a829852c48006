"""The time, in the units the tables have."""

import time


def now_seconds() -> int:
    return int(time.time())


def now_ms() -> int:
    return int(time.time() * 1000)
