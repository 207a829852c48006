"""Indexes of runs by the time of their creation or failure"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("runs_by_creation", "runs", ["project_id", "created_at"], unique=False)
    op.create_index(
        "runs_by_failure",
        "runs",
        ["project_id", "failed_at"],
        unique=False,
        sqlite_where=sa.text("failed_at IS NOT NULL"),
        postgresql_where=sa.text("failed_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("runs_by_failure", table_name="runs")
    op.drop_index("runs_by_creation", table_name="runs")
