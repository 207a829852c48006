"""Retries of failed runs"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_retries",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_execution", sa.Text(), nullable=False),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "number"),
    )
    # Not in batch mode, which would copy a possibly large table: SQLite can add columns without it.
    op.add_column("runs", sa.Column("retries", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("retried_turn", sa.BigInteger(), nullable=True))
    op.create_index("runs_by_assistant", "runs", ["project_id", "assistant_id", "seq"], unique=False)


def downgrade() -> None:
    op.drop_index("runs_by_assistant", table_name="runs")
    op.drop_column("runs", "retried_turn")
    op.drop_column("runs", "retries")
    op.drop_table("run_retries")
