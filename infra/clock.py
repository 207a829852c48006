"""The time, in the units of the tables."""

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime.fromtimestamp(0, UTC)
MS_PER_SECOND = 1000


def now_seconds() -> int:
    return int(time.time())


def now_ms() -> int:
    return int(time.time() * MS_PER_SECOND)


def microseconds(moment: datetime) -> int:
    """Since the epoch, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def seconds_since(milliseconds: int) -> float:
    """Never below zero: the clock of another machine may be ahead."""
    return max(0, now_ms() - milliseconds) / MS_PER_SECOND
