"""Sessions and files of the code interpreter, and the cells of its calls"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sandbox_sessions",
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("placed", sa.JSON(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("thread_id"),
    )
    is_closed = sa.text("closed_at IS NOT NULL")
    op.create_index(
        "sandbox_sessions_closed",
        "sandbox_sessions",
        ["closed_at"],
        sqlite_where=is_closed,
        postgresql_where=is_closed,
    )
    op.create_table(
        "sandbox_files",
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("thread_id", "name"),
    )
    op.create_index("sandbox_files_by_object", "sandbox_files", ["object_id"], unique=True)
    op.add_column("tool_calls", sa.Column("cell", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("tool_calls", "cell")
    op.drop_table("sandbox_files")
    op.drop_table("sandbox_sessions")
