"""The newest attempt at a run's turn"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not in batch mode, which would copy a possibly large table: SQLite can add columns without it.
    op.add_column("runs", sa.Column("newest_attempt", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("runs", "newest_attempt")
