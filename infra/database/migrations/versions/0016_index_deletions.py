"""Up to which generation a file leaves the vector index"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("index_deletions", sa.Column("generation", sa.BigInteger(), nullable=True))
    op.create_index("index_deletions_by_file", "index_deletions", ["store_id", "file_id"], unique=False)


def downgrade() -> None:
    op.drop_index("index_deletions_by_file", table_name="index_deletions")
    op.drop_column("index_deletions", "generation")
