"""Which files of a vector store its latest versions changed"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("vector_stores", sa.Column("recorded_versions", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("vector_store_files", sa.Column("files_version", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index("vector_store_files_by_version", "vector_store_files", ["store_id", "files_version"], unique=False)
    op.create_table(
        "removed_store_files",
        sa.Column("store_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("files_version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "files_version", "id"),
    )


def downgrade() -> None:
    op.drop_table("removed_store_files")
    op.drop_index("vector_store_files_by_version", table_name="vector_store_files")
    op.drop_column("vector_store_files", "files_version")
    op.drop_column("vector_stores", "recorded_versions")
