"""The number of messages on each thread"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("threads", sa.Column("message_count", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        "UPDATE threads SET message_count = (SELECT count(*) FROM messages WHERE messages.thread_id = threads.id)"
    )


def downgrade() -> None:
    # Not in batch mode, which copies the table on SQLite, and so permits the reuse of numbers.
    op.drop_column("threads", "message_count")
