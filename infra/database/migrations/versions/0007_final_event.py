"""The number of the first event of a run's finalization"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("final_event", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("runs", "final_event")
