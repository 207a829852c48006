"""Vector stores, their files and file batches"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "index_deletions",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("embedding_model", sa.Text(), nullable=True),
        sa.Column("dimensions", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("index_deletions_by_age", "index_deletions", ["deleted_at"], unique=False)
    op.create_table(
        "vector_store_file_attributes",
        sa.Column("file_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("text_value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
        sa.Column("number_value", sa.Double(), nullable=True),
        sa.Column("boolean_value", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("file_seq", "key"),
    )
    op.create_index("vector_store_file_attributes_by_store", "vector_store_file_attributes", ["store_id"], unique=False)
    op.create_table(
        "vector_store_file_batches",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("is_cancelled", sa.Boolean(), nullable=False),
        sa.Column("in_progress", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("completed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cancelled", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "vector_store_file_batches_by_store", "vector_store_file_batches", ["store_id", "seq"], unique=False
    )
    op.create_table(
        "vector_store_files",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=True),
        sa.Column("usage_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("chunks", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("chunk_overlaps", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("last_error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("max_chunk_size_tokens", sa.BigInteger(), nullable=False),
        sa.Column("chunk_overlap_tokens", sa.BigInteger(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("next_check_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("store_id", "id"),
        sqlite_autoincrement=True,
    )
    op.create_index("vector_store_files_by_batch", "vector_store_files", ["batch_id", "seq"], unique=False)
    op.create_index(
        "vector_store_files_by_batch_status", "vector_store_files", ["batch_id", "status", "seq"], unique=False
    )
    op.create_index("vector_store_files_by_file", "vector_store_files", ["id"], unique=False)
    op.create_index("vector_store_files_by_status", "vector_store_files", ["store_id", "status", "seq"], unique=False)
    op.create_index("vector_store_files_by_store", "vector_store_files", ["store_id", "seq"], unique=False)
    op.create_index(
        "vector_store_files_in_progress",
        "vector_store_files",
        ["next_check_at"],
        unique=False,
        sqlite_where=sa.text("status = 'in_progress'"),
        postgresql_where=sa.text("status = 'in_progress'"),
    )
    op.create_table(
        "vector_stores",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("expires_after_days", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_active_at", sa.BigInteger(), nullable=False),
        sa.Column("is_emptied", sa.Boolean(), nullable=False),
        sa.Column("embedding_model", sa.Text(), nullable=True),
        sa.Column("dimensions", sa.BigInteger(), nullable=False),
        sa.Column("in_progress", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("completed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cancelled", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("usage_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "vector_stores_by_expiry",
        "vector_stores",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("expires_at IS NOT NULL AND NOT is_emptied"),
        postgresql_where=sa.text("expires_at IS NOT NULL AND NOT is_emptied"),
    )
    op.create_index("vector_stores_by_project", "vector_stores", ["project_id", "seq"], unique=False)


def downgrade() -> None:
    for table in (
        "index_deletions",
        "vector_store_file_batches",
        "vector_store_file_attributes",
        "vector_store_files",
        "vector_stores",
    ):
        op.drop_table(table)
