"""Whether Redis is away, as the log tells it: once when it goes, once when it is back."""

import logging
from datetime import timedelta

COMMAND_TIMEOUT = timedelta(seconds=5)
"""Redis is away where it does not answer within."""

log = logging.getLogger(__name__)


class RedisOutage:
    def __init__(self) -> None:
        self._is_under_way = False

    def go_on(self, reason: Exception) -> None:
        """It begins, unless it is under way."""
        if not self._is_under_way:
            self._is_under_way = True
            log.warning("event_stream.down", extra={"reason": repr(reason)})

    def end(self) -> None:
        if self._is_under_way:
            self._is_under_way = False
            log.warning("event_stream.up")
