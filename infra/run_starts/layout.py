"""How starts of runs are handed to workers in Redis: a set of the workers' channels, requests and answers.

A request is published on the channel of one worker, its answer on the channel of the API. Nothing is kept: a message
that is lost costs the API's wait for an answer, after which it starts the workflow itself.
"""

import logging
from dataclasses import dataclass, fields

from pydantic import TypeAdapter
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from models.turns import RunInput

log = logging.getLogger(__name__)

ASK = """
for _ = 1, redis.call('SCARD', KEYS[1]) do
  local worker = redis.call('SRANDMEMBER', KEYS[1])
  if redis.call('PUBLISH', worker, ARGV[1]) > 0 then return worker end
  redis.call('SREM', KEYS[1], worker)
end
return false
"""
"""Publishes the request on the channel of a random worker. Returns the channel, or nil where no worker listens.

The connection of a killed worker is closed by its system, so its channel has no listener.
"""

_FIELDS = "+".join(field.name for field in fields(RunInput))


@dataclass(frozen=True)
class StartingWorkers:
    """The workers of a task queue that start workflows for APIs: `key` is that of the set of their channels."""

    redis: Redis
    key: str


@dataclass(frozen=True)
class StartRequest:
    """`number` is unique among the requests of the API on `channel`. `trace` has the headers of W3C's trace context."""

    channel: str
    number: int
    run: RunInput
    trace: dict[str, str]


START_REQUEST = TypeAdapter(StartRequest)


@dataclass(frozen=True)
class StartAnswer:
    """`is_started`: Temporal has the workflow, which may have run before."""

    number: int
    is_started: bool


START_ANSWER = TypeAdapter(StartAnswer)


def workers_of(namespace_id: str, task_queue: str) -> str:
    """The key of the set of workers. Several installations may share a Redis, but not an id of Temporal's.

    Workers of another release, which may not know all fields of a request, have another key.
    """
    return f"holdfast:starters:{namespace_id}:{task_queue}:{_FIELDS}"


class Refusals:
    """Logs once that Redis refuses a command, as to a user without the right. Outages are the event stream's to log."""

    def __init__(self) -> None:
        self._is_logged = False

    def add(self, error: Exception) -> None:
        if isinstance(error, ResponseError) and not self._is_logged:
            self._is_logged = True
            log.warning("run.starts_not_handed_over", extra={"reason": repr(error)})
