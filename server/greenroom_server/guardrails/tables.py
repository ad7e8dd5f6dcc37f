"""Rows of the guardrails area."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Column, DateTime, Double, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel


def _text(*, nullable: bool = False) -> Any:
    return Column(Text, nullable=nullable)


def _texts() -> Any:
    return Column(ARRAY(Text), nullable=True)


def _moment(*, nullable: bool = True) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


class GuardrailRow(SQLModel, table=True):
    """A guardrail, when its source is asked next, and what it said last.

    A server that asks holds a `lease`, and only who holds it may say what was answered. `watched_since` is the moment
    from which on its readings are of this source and condition. `heard_at` is of the last message of its alerts.
    """

    __tablename__ = "guardrail"
    __table_args__ = (UniqueConstraint("project_id", "key"), Index("ix_guardrail_next_at", "next_at"))

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    project: str = Field(sa_column=_text())
    key: str = Field(sa_column=_text())
    description: str = Field(sa_column=_text())
    source: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    condition: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    action: str = Field(sa_column=_text())
    for_s: int
    interval_s: int
    max_age_s: int
    always_on: bool
    environments: list[str] | None = Field(default=None, sa_column=_texts())
    flags: list[str] | None = Field(default=None, sa_column=_texts())
    releases: list[str] | None = Field(default=None, sa_column=_texts())
    secret: str | None = Field(default=None, sa_column=_text(nullable=True))
    watched_since: datetime = Field(sa_column=_moment(nullable=False))
    next_at: datetime = Field(sa_column=_moment(nullable=False))
    lease: UUID | None = None
    leased_until: datetime | None = Field(default=None, sa_column=_moment())
    heard_at: datetime | None = Field(default=None, sa_column=_moment())
    is_tripped: bool = False
    tripped_at: datetime | None = Field(default=None, sa_column=_moment())
    version: int = 1
    created_at: datetime = Field(sa_column=_moment(nullable=False))
    updated_at: datetime = Field(sa_column=_moment(nullable=False))


class GuardrailReadingRow(SQLModel, table=True):
    """What a source said. `counted_since` is the step's beginning, for sources that count from there on."""

    __tablename__ = "guardrail_reading"
    __table_args__ = (Index("ix_guardrail_reading_at", "guardrail_id", "at"),)

    id: UUID = Field(primary_key=True)
    guardrail_id: UUID = Field(foreign_key="guardrail.id", ondelete="CASCADE")
    at: datetime = Field(sa_column=_moment(nullable=False))
    counted_since: datetime | None = Field(default=None, sa_column=_moment())
    state: str = Field(sa_column=_text())
    why: str = Field(sa_column=_text())
    data_at: datetime | None = Field(default=None, sa_column=_moment())
    value: float | None = Field(default=None, sa_column=Column(Double))


class GuardrailUseRow(SQLModel, table=True):
    """A running step that asked for it, last at `asked_at`; long ago means that it does not run any more."""

    __tablename__ = "guardrail_use"

    guardrail_id: UUID = Field(foreign_key="guardrail.id", ondelete="CASCADE", primary_key=True)
    release_id: UUID = Field(primary_key=True)
    environment: str = Field(sa_column=Column(Text, primary_key=True))
    release: str = Field(sa_column=_text())
    step: int
    since: datetime = Field(sa_column=_moment(nullable=False))
    asked_at: datetime = Field(sa_column=_moment(nullable=False))


class GuardrailAlertRow(SQLModel, table=True):
    """An alert, by what its sender calls it. `said_at` is the moment that the sender's last word on it is of."""

    __tablename__ = "guardrail_alert"

    guardrail_id: UUID = Field(foreign_key="guardrail.id", ondelete="CASCADE", primary_key=True)
    fingerprint: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=_text())
    is_firing: bool
    said_at: datetime = Field(sa_column=_moment(nullable=False))
    heard_at: datetime = Field(sa_column=_moment(nullable=False))


class GuardrailMessageRow(SQLModel, table=True):
    """A signed message that was taken: the same one again says nothing new."""

    __tablename__ = "guardrail_message"

    guardrail_id: UUID = Field(foreign_key="guardrail.id", ondelete="CASCADE", primary_key=True)
    message_id: str = Field(sa_column=Column(Text, primary_key=True))
    received_at: datetime = Field(sa_column=_moment(nullable=False))
