"""Guardrails, what their sources said, which steps they watch, and the alerts that came in.

Expand, migrate, contract: the version before this one must run on this schema.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "guardrail",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("condition", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("for_s", sa.Integer(), nullable=False),
        sa.Column("interval_s", sa.Integer(), nullable=False),
        sa.Column("max_age_s", sa.Integer(), nullable=False),
        sa.Column("always_on", sa.Boolean(), nullable=False),
        sa.Column("environments", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("flags", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("releases", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("watched_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_tripped", sa.Boolean(), nullable=False),
        sa.Column("tripped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "key"),
    )
    op.create_index("ix_guardrail_next_at", "guardrail", ["next_at"], unique=False)
    op.create_table(
        "guardrail_alert",
        sa.Column("guardrail_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_firing", sa.Boolean(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["guardrail_id"], ["guardrail.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("guardrail_id", "fingerprint"),
    )
    op.create_table(
        "guardrail_message",
        sa.Column("guardrail_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["guardrail_id"], ["guardrail.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("guardrail_id", "message_id"),
    )
    op.create_table(
        "guardrail_reading",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("guardrail_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counted_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("data_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["guardrail_id"], ["guardrail.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_guardrail_reading_at", "guardrail_reading", ["guardrail_id", "at"], unique=False)
    op.create_table(
        "guardrail_use",
        sa.Column("guardrail_id", sa.Uuid(), nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("release", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["guardrail_id"], ["guardrail.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("guardrail_id", "release_id", "environment"),
    )


def downgrade() -> None:
    op.drop_table("guardrail_use")
    op.drop_index("ix_guardrail_reading_at", table_name="guardrail_reading")
    op.drop_table("guardrail_reading")
    op.drop_table("guardrail_message")
    op.drop_table("guardrail_alert")
    op.drop_index("ix_guardrail_next_at", table_name="guardrail")
    op.drop_table("guardrail")
