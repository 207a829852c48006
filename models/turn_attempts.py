"""Attempts at a turn, and their order."""

from dataclasses import dataclass

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

    def message_time(self, now: int) -> int:
        """The time of a message of this turn: `now` (seconds), or a second after the message before if they are equal.

        Programs sort messages by their time, and OpenAI's models were never so quick. The time is never before that of
        the message before, whose writer's clock may be ahead.
        """
        return max(now + (self.last_message_at == now), self.last_message_at)

    def id_of(self, prefix: Prefix, *part: str | int) -> str:
        return derived_id(prefix, self.workflow_run_id, self.turn, self.fencing_token, *part)
