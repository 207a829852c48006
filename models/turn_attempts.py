"""Attempts at a turn, and their order."""

from dataclasses import dataclass, field

from models.ids import Prefix, derived_id


@dataclass(frozen=True)
class TurnAttempt:
    """One attempt at a turn. The ids of its rows are derived from it, so that no attempt reuses the ids of another one.

    `fencing_token` is the time at which Temporal started the attempt, in microseconds of its server's clock: a newer
    attempt has a larger token even where attempts are counted from 1 again (after a reset) or workers' clocks differ.
    `started_at_ms` is by the worker's clock; `last_message_at` is the creation time of the thread's newest message at
    the beginning of the turn (seconds).
    """

    workflow_run_id: str
    turn: int
    attempt: int
    fencing_token: int
    started_at_ms: int
    last_message_at: int = 0
    _ids: dict[tuple[str | int, ...], str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def message_time(self, now: int) -> int:
        """The time of a message of this turn: `now` (seconds), or a second after the message before if they are equal.

        Programs sort messages by their time, and OpenAI's models were never so quick. The time is never before that of
        the message before, whose writer's clock may be ahead.
        """
        return max(now + (self.last_message_at == now), self.last_message_at)

    def id_of(self, prefix: Prefix, *part: str | int) -> str:
        # Each delta of an answer has such an id, which costs more to derive than the delta's JSON.
        found = self._ids.get((prefix, *part))
        if found is None:
            found = derived_id(prefix, self.workflow_run_id, self.turn, self.fencing_token, *part)
            self._ids[prefix, *part] = found
        return found
