"""Webhooks that send CDEvents.

Expand, migrate, contract: the version before this one must run on this schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("webhook", "webhook_delivery"):
        op.add_column(table, sa.Column("format", sa.Text(), server_default="standard", nullable=False))


def downgrade() -> None:
    for table in ("webhook_delivery", "webhook"):
        op.drop_column(table, "format")
