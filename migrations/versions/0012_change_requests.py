"""Change requests, what was said of them, and which environments ask for them.

Expand, migrate, contract: the version before this one must run on this schema.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "approval_setting",
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("required", sa.Integer(), nullable=False),
        sa.Column("roles", ARRAY(sa.Text()), nullable=False),
        sa.Column("headless", ARRAY(sa.Text()), nullable=False),
        sa.Column("expires_after_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["environment_id"], ["environment.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("environment_id"),
    )
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "change_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("title", "reason", "state", "author")),
        sa.Column("editors", ARRAY(sa.Text()), nullable=False),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("changes", "bases", "diff")),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("environments", ARRAY(sa.Text()), nullable=False),
        sa.Column("apply_at", moment, nullable=True),
        sa.Column("scheduled_by", sa.Uuid(), nullable=True),
        sa.Column("setting_version", sa.Integer(), nullable=True),
        sa.Column("held", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        *(sa.Column(name, moment, nullable=False) for name in ("created_at", "updated_at")),
        *(sa.Column(name, moment, nullable=True) for name in ("expires_at", "approved_until", "ended_at")),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["environment_id"], ["environment.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "number"),
    )
    op.create_index("ix_change_request_environment", "change_request", ["environment_id", "number"])
    op.create_index(
        "ix_change_request_waiting",
        "change_request",
        ["expires_at", "apply_at"],
        postgresql_where=sa.text("state IN ('open', 'approved', 'rejected')"),
    )
    op.create_table(
        "change_request_word",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("change_request_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("verdict", "hash", "who", "actor")),
        sa.Column("roles", ARRAY(sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("retracted_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["change_request_id"], ["change_request.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_change_request_word_request", "change_request_word", ["change_request_id", "seq"])


def downgrade() -> None:
    op.drop_table("change_request_word")
    op.drop_table("change_request")
    op.drop_table("approval_setting")
