"""What a run's prompt is made of, read in bounded pieces."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database.tables import MessageRow, RunRow, RunStepRow, ToolCallRow
from models.run_steps import StepStatus, StepType

PAGE_SIZE = 50


@dataclass(slots=True)
class PastTurn:
    """What the model said in an earlier turn of this run, and what its calls returned."""

    text: str | None = None
    calls: list[ToolCallRow] = field(default_factory=list)


async def messages_newest_first(session: AsyncSession, run: RunRow) -> AsyncGenerator[MessageRow]:
    """The thread's messages as they were when the run got the thread; stop iterating to stop reading."""
    before = run.last_message_seq + 1
    while True:
        query = select(MessageRow).where(MessageRow.thread_id == run.thread_id, MessageRow.seq < before)
        rows = (await session.scalars(query.order_by(MessageRow.seq.desc()).limit(PAGE_SIZE))).all()
        for row in rows:
            yield row
        if len(rows) < PAGE_SIZE:
            return
        before = rows[-1].seq


async def past_turns(session: AsyncSession, run: RunRow) -> list[PastTurn]:
    """The run's own earlier turns, in order."""
    turns: dict[int, PastTurn] = {}
    said = (
        select(RunStepRow.turn, MessageRow)
        .join(MessageRow, MessageRow.id == RunStepRow.message_id)
        .where(
            RunStepRow.run_id == run.id,
            RunStepRow.turn < run.turn,
            RunStepRow.type == StepType.MESSAGE_CREATION,
            RunStepRow.status == StepStatus.COMPLETED,
        )
    )
    for turn, message in await session.execute(said):
        turns.setdefault(turn, PastTurn()).text = message_text(message)
    called = select(ToolCallRow).where(ToolCallRow.run_id == run.id, ToolCallRow.turn < run.turn)
    for call in await session.scalars(called.order_by(ToolCallRow.turn, ToolCallRow.position)):
        turns.setdefault(call.turn, PastTurn()).calls.append(call)
    return [turns[turn] for turn in sorted(turns)]


def message_text(message: MessageRow) -> str:
    """All words of a message, parts joined by line breaks. A refusal is text: most providers take nothing else."""
    return "\n".join(_words(part) for part in message.content if part["type"] in {"text", "refusal"})


def _words(part: dict[str, Any]) -> str:
    return str(part["refusal"] if part["type"] == "refusal" else part["text"]["value"])
