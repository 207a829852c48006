"""When files of vector stores ended, and an index of those that are not completed"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

IS_NOT_COMPLETED = sa.text("status <> 'completed'")


def upgrade() -> None:
    op.add_column("vector_store_files", sa.Column("ended_at", sa.BigInteger(), nullable=True))
    # Of files that had ended before, the time at which they were added or last ingested is known.
    op.execute("UPDATE vector_store_files SET ended_at = generation / 1000 WHERE status <> 'in_progress'")
    op.create_index(
        "vector_store_files_not_completed",
        "vector_store_files",
        ["status", "seq"],
        unique=False,
        sqlite_where=IS_NOT_COMPLETED,
        postgresql_where=IS_NOT_COMPLETED,
    )


def downgrade() -> None:
    op.drop_index("vector_store_files_not_completed", "vector_store_files")
    op.drop_column("vector_store_files", "ended_at")
