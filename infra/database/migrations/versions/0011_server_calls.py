"""Tool calls that the server runs: their settings, results and times"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TIMES = ("result_event", "attempt", "started_at", "finished_at")


def upgrade() -> None:
    op.add_column("tool_calls", sa.Column("options", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("tool_calls", sa.Column("result", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("tool_calls", sa.Column("error", sa.Text(), nullable=True))
    for name in TIMES:
        op.add_column("tool_calls", sa.Column(name, sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for name in (*TIMES, "error", "result", "options"):
        op.drop_column("tool_calls", name)
