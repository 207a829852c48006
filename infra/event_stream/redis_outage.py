"""Whether Redis is away, logged once when it goes and once when it is back."""

import logging
from datetime import timedelta

COMMAND_TIMEOUT = timedelta(seconds=5)
"""Redis is away where a command takes longer."""

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
