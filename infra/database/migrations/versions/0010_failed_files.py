"""When files of vector stores ended, an index of those that are not completed, and indexes of attributes by value"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ATTRIBUTE_KINDS = ("text", "number", "boolean")
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
    for kind in ATTRIBUTE_KINDS:
        has_value = sa.text(f"{kind}_value IS NOT NULL")
        op.create_index(
            f"vector_store_file_attributes_by_{kind}",
            "vector_store_file_attributes",
            ["store_id", "key", f"{kind}_value"],
            unique=False,
            sqlite_where=has_value,
            postgresql_where=has_value,
        )


def downgrade() -> None:
    for kind in ATTRIBUTE_KINDS:
        op.drop_index(f"vector_store_file_attributes_by_{kind}", "vector_store_file_attributes")
    op.drop_index("vector_store_files_not_completed", "vector_store_files")
    op.drop_column("vector_store_files", "ended_at")
