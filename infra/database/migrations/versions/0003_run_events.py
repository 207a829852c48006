"""Columns for the replay of a run's events"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No streams of older runs were ever read: any numbers are valid for their events.
    op.add_column("runs", sa.Column("next_event", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("with_thread", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("run_steps", sa.Column("first_event", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("run_steps", sa.Column("delta_sizes", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("run_steps", "delta_sizes")
    op.drop_column("run_steps", "first_event")
    op.drop_column("runs", "with_thread")
    op.drop_column("runs", "next_event")
