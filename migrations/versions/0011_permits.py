"""Permits: the keys that sign, what was signed, uses that happen once, and by what a deployment was let through.

Expand, migrate, contract: the version before this one must run on this schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "permit_key",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["release_ledger.project_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "key_id"),
    )
    op.create_index(
        "ix_permit_key_signing",
        "permit_key",
        ["project_id"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
    )
    op.create_table(
        "attestation",
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("decision_id", "kind"),
    )
    op.execute(
        "CREATE TRIGGER decision_is_append_only BEFORE UPDATE ON attestation"
        " FOR EACH ROW EXECUTE FUNCTION decision_is_append_only()"
    )
    op.create_index("ix_fact_use", "fact", ["about"], unique=True, postgresql_where=sa.text("kind = 'use'"))
    op.create_index(
        "ix_fact_kept",
        "fact",
        ["kind", "received_at"],
        postgresql_where=sa.text("kind IN ('permit', 'break_glass')"),
    )
    op.add_column("deployment", sa.Column("sanction", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("deployment", "sanction")
    op.drop_index("ix_fact_kept", table_name="fact")
    op.drop_index("ix_fact_use", table_name="fact")
    op.drop_table("attestation")
    op.drop_table("permit_key")
