"""One row for each service and environment that deployments and releases lock.

Expand, migrate, contract: the version before this one must run on this schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "release_place",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["release_ledger.project_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "service", "environment"),
    )


def downgrade() -> None:
    op.drop_table("release_place")
