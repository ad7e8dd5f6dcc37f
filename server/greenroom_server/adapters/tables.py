"""Rows of the adapters area."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSON
from sqlmodel import Field, SQLModel


def _text(*, nullable: bool = False) -> Any:
    return Column(Text, nullable=nullable)


def _moment(*, nullable: bool = True) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


def _document() -> Any:
    return Column(JSON, nullable=False)


def _number() -> Any:
    return Column(BigInteger, nullable=True)


class IntegrationRow(SQLModel, table=True):
    """A forge or controller of a project.

    `secret` verifies what comes from it, `credential` is what lets us in there; both are as `sealing.Sealer` made them.
    `looked_at` is when a server last looked for deployments that wait, where they have to be looked for.
    """

    __tablename__ = "integration"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    project: str = Field(sa_column=_text())
    key: str = Field(sa_column=_text())
    kind: str = Field(sa_column=_text())
    service: str = Field(sa_column=_text())
    places: dict[str, Any] = Field(sa_column=_document())
    url: str | None = Field(default=None, sa_column=_text(nullable=True))
    account: str | None = Field(default=None, sa_column=_text(nullable=True))
    represented_as: str | None = Field(default=None, sa_column=_text(nullable=True))
    patience_s: int = 86_400
    enabled: bool = True
    secret: str | None = Field(default=None, sa_column=_text(nullable=True))
    credential: str | None = Field(default=None, sa_column=_text(nullable=True))
    looked_at: datetime | None = Field(default=None, sa_column=_moment())
    trouble: str | None = Field(default=None, sa_column=_text(nullable=True))
    version: int = 1
    created_at: datetime = Field(sa_column=_moment(nullable=False))
    updated_at: datetime = Field(sa_column=_moment(nullable=False))


class GateRequestRow(SQLModel, table=True):
    """A deployment that waits for an answer, or was answered.

    `seq`, `activation`, `revision` and `turns_at` tell from when on the last decision may be another one; they are
    null before the first. A server that works on it holds a `lease`, and only who holds it may say how it went.
    """

    __tablename__ = "gate_request"
    __table_args__ = (
        UniqueConstraint("integration_id", "ticket"),
        Index("ix_gate_request_waiting", "next_at", postgresql_where=text("state = 'waiting'")),
        Index("ix_gate_request_listed", "integration_id", "created_at", "id"),
    )

    id: UUID = Field(primary_key=True)
    integration_id: UUID = Field(foreign_key="integration.id", ondelete="CASCADE")
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    ticket: str = Field(sa_column=_text())
    service: str = Field(sa_column=_text())
    environment: str = Field(sa_column=_text())
    slot: str | None = Field(default=None, sa_column=_text(nullable=True))
    commit: str | None = Field(default=None, sa_column=_text(nullable=True))
    digest: str | None = Field(default=None, sa_column=_text(nullable=True))
    reply: dict[str, Any] = Field(sa_column=_document())
    secret: str | None = Field(default=None, sa_column=_text(nullable=True))
    state: str = Field(default="waiting", sa_column=_text())
    verdict: str | None = Field(default=None, sa_column=_text(nullable=True))
    decision: str | None = Field(default=None, sa_column=_text(nullable=True))
    seq: int | None = Field(default=None, sa_column=_number())
    activation: int | None = Field(default=None, sa_column=_number())
    revision: int | None = Field(default=None, sa_column=_number())
    turns_at: datetime | None = Field(default=None, sa_column=_moment())
    note: str | None = Field(default=None, sa_column=_text(nullable=True))
    notes: int = 0
    noted_at: datetime | None = Field(default=None, sa_column=_moment())
    attempts: int = 0
    last_status: int | None = None
    last_error: str | None = Field(default=None, sa_column=_text(nullable=True))
    next_at: datetime = Field(sa_column=_moment(nullable=False))
    lease: UUID | None = None
    leased_until: datetime | None = Field(default=None, sa_column=_moment())
    created_at: datetime = Field(sa_column=_moment(nullable=False))
    expires_at: datetime = Field(sa_column=_moment(nullable=False))
    finished_at: datetime | None = Field(default=None, sa_column=_moment())
