"""The tokens of a run: the sum over its committed turns."""

from sqlalchemy import Connection, bindparam, func, select

from infra.database.run_tables import TURNS
from models.language_model import TokenUsage

_COLUMNS = (TURNS.c.prompt_tokens, TURNS.c.completion_tokens, TURNS.c.cached_tokens, TURNS.c.reasoning_tokens)
_USED = select(*(func.coalesce(func.sum(column), 0) for column in _COLUMNS)).where(TURNS.c.run_id == bindparam("run"))


def used_tokens(connection: Connection, run_id: str) -> TokenUsage:
    return TokenUsage(*map(int, connection.execute(_USED, {"run": run_id}).one()))


def used_before(connection: Connection, run_id: str, turn: int) -> TokenUsage:
    """The tokens of a run whose next turn is `turn`: the first turn needs no statement."""
    return used_tokens(connection, run_id) if turn else TokenUsage()
