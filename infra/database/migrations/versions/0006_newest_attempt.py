"""The newest attempt at a run's turn"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not in batch mode, which would copy a table that may be large: SQLite too can add columns as they are.
    op.add_column("runs", sa.Column("newest_attempt", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("runs", "newest_attempt")
