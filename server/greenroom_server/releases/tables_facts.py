"""Rows of what was found and said: evidence, facts, and who may supply and say them.

Evidence and facts are never changed; triggers refuse it. What ends a fact is a fact of its own.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Column, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from greenroom_server.releases.tables import moment_column, seq_column, text_column, texts_column


def json_column(*, nullable: bool = False) -> Any:
    return Column(JSONB(none_as_null=True), nullable=nullable)


class EvidenceRow(SQLModel, table=True):
    """Something was checked. `suite`, `environment` and `slot` are empty where they do not apply.

    `counts` and `detail` are as sent. `verified_by` names the pinned key whose signature holds.
    """

    __tablename__ = "evidence"
    __table_args__ = (
        UniqueConstraint("project_id", "producer", "run", "attempt", "kind", "suite"),
        Index("ix_evidence_digest", "project_id", "digest", "seq", postgresql_where=text("digest IS NOT NULL")),
        Index("ix_evidence_commit", "project_id", "commit", "seq", postgresql_where=text("commit IS NOT NULL")),
        Index("ix_evidence_seq", "project_id", "seq"),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="release_ledger.project_id", ondelete="CASCADE")
    seq: int = Field(sa_column=seq_column())
    kind: str = Field(sa_column=text_column())
    suite: str = Field(sa_column=text_column())
    digest: str | None = Field(default=None, sa_column=text_column(nullable=True))
    commit: str | None = Field(default=None, sa_column=text_column(nullable=True))
    environment: str = Field(sa_column=text_column())
    slot: str = Field(sa_column=text_column())
    outcome: str = Field(sa_column=text_column())
    counts: dict[str, int] | None = Field(default=None, sa_column=json_column(nullable=True))
    suite_definition_digest: str | None = Field(default=None, sa_column=text_column(nullable=True))
    run: str = Field(sa_column=text_column())
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    started_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    finished_at: datetime = Field(sa_column=moment_column())
    received_at: datetime = Field(sa_column=moment_column())
    producer: str = Field(sa_column=text_column())
    is_automated: bool = Field(sa_column=Column(Boolean, nullable=False))
    verified_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    url: str | None = Field(default=None, sa_column=text_column(nullable=True))
    attachment_digest: str | None = Field(default=None, sa_column=text_column(nullable=True))
    detail: dict[str, Any] | None = Field(default=None, sa_column=json_column(nullable=True))
    actor: str = Field(sa_column=text_column())


class FactRow(SQLModel, table=True):
    """Something that somebody said; `body` holds what its kind has beside the columns.

    `about` is the fact that this one ends or accepts. What is None in `service`, `environment` or `digest` covers all.
    `seq` is unique in the project, `person` is who stands behind it, in the `roles` that they had then.
    """

    __tablename__ = "fact"
    __table_args__ = (
        Index("ix_fact_kind", "project_id", "kind", "seq"),
        Index("ix_fact_seq", "project_id", "seq", unique=True),
        Index("ix_fact_about", "about", postgresql_where=text("about IS NOT NULL")),
        Index("ix_fact_end", "about", unique=True, postgresql_where=text("kind = 'end'")),
        Index("ix_fact_use", "about", unique=True, postgresql_where=text("kind = 'use'")),
        Index("ix_fact_kept", "kind", "received_at", postgresql_where=text("kind IN ('permit', 'break_glass')")),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="release_ledger.project_id", ondelete="CASCADE")
    seq: int = Field(sa_column=seq_column())
    kind: str = Field(sa_column=text_column())
    service: str | None = Field(default=None, sa_column=text_column(nullable=True))
    environment: str | None = Field(default=None, sa_column=text_column(nullable=True))
    digest: str | None = Field(default=None, sa_column=text_column(nullable=True))
    about: UUID | None = None
    at: datetime = Field(sa_column=moment_column())
    received_at: datetime = Field(sa_column=moment_column())
    actor: str = Field(sa_column=text_column())
    person: str | None = Field(default=None, sa_column=text_column(nullable=True))
    roles: list[str] = Field(sa_column=texts_column())
    body: dict[str, Any] = Field(sa_column=json_column())


class ProducerRow(SQLModel, table=True):
    """Who may supply evidence: which kinds and by which tokens (None: all), and the public keys that are believed."""

    __tablename__ = "producer"

    project_id: UUID = Field(foreign_key="release_ledger.project_id", ondelete="CASCADE", primary_key=True)
    name: str = Field(sa_column=Column(Text, primary_key=True))
    public_keys: list[str] = Field(sa_column=texts_column())
    kinds: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    tokens: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    is_active: bool = Field(sa_column=Column(Boolean, nullable=False))
    must_sign: bool = Field(sa_column=Column(Boolean, nullable=False))
    updated_at: datetime = Field(sa_column=moment_column())


class PersonRow(SQLModel, table=True):
    """Somebody as the project knows them: further names, and the roles that they have here."""

    __tablename__ = "person"

    project_id: UUID = Field(foreign_key="release_ledger.project_id", ondelete="CASCADE", primary_key=True)
    person: str = Field(sa_column=Column(Text, primary_key=True))
    aliases: list[str] = Field(sa_column=texts_column())
    roles: list[str] = Field(sa_column=texts_column())
    is_active: bool = Field(sa_column=Column(Boolean, nullable=False))
    updated_at: datetime = Field(sa_column=moment_column())
