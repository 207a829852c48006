"""What the looks of one worker have shown of another that is gone, or may be."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from infra.database.workers import SeenWorker
from infra.held_activities import HeldActivity

LOOK_INTERVAL = timedelta(seconds=0.5)
SILENT_FOR = timedelta(seconds=3)
"""An activity of a silent worker counts as lost after this long without a heartbeat in Temporal."""

LOOKS = SILENT_FOR // LOOK_INTERVAL


class Heard(Enum):
    """What Temporal hears of an activity. `TOO_SHORT`: it was not watched for long enough to tell.

    `UNKNOWN`: Temporal did not answer.
    """

    NOTHING = "nothing"
    SOMETHING = "something"
    TOO_SHORT = "too short"
    UNKNOWN = "unknown"


@dataclass
class Takeover:
    """Time is counted in looks: Temporal's clock may differ from ours, and a worker that stood still does not look.

    `passes` are the times that all that the worker holds was looked for and taken over.
    """

    worker: SeenWorker
    is_proved: bool
    passes: int = 0
    _looks: int = 0
    _next: int = 1
    # When Temporal last heard of an attempt, and the look that first saw that time.
    _heard: dict[tuple[str, str, int], tuple[datetime, int]] = field(default_factory=dict)

    def look(self, worker: SeenWorker, is_proved: bool) -> bool:
        """Count a look at the worker. Whether what it holds is to be looked for now."""
        self.worker, self.is_proved = worker, is_proved
        self._looks += 1
        return self._looks >= self._next

    def heard_of(self, held: HeldActivity) -> Heard:
        attempt = (held.workflow_id, held.activity_id, held.attempt)
        heard_at, since = self._heard.setdefault(attempt, (held.heard_at, self._looks))
        if self.is_proved:
            return Heard.NOTHING
        if heard_at != held.heard_at:
            return Heard.SOMETHING
        return Heard.NOTHING if self._looks - since >= LOOKS else Heard.TOO_SHORT

    @property
    def is_settled(self) -> bool:
        """Whether the worker is gone: it has ended, or was watched for long enough."""
        return self.is_proved or self._looks > LOOKS

    def passed(self) -> None:
        """All was looked for. The next time is after 1, 2, 4, … seconds."""
        self.passes += 1
        self._next = self._looks + 2**self.passes

    def watch(self) -> None:
        """Look for all again when what is new by now has been watched for long enough."""
        self._next = self._looks + LOOKS
