"""Rows of the webhooks area."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel


def _text(*, nullable: bool = False) -> Any:
    return Column(Text, nullable=nullable)


def _format() -> Any:
    return Column(Text, nullable=False, server_default="standard")


def _moment(*, nullable: bool = True) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


class WebhookRow(SQLModel, table=True):
    """A destination; one without a key is the address of callbacks, which nobody configured and nobody lists.

    `cursor` is the number of the last event of the project's audit log that was handed out to it. The secrets are as
    `sealing.Sealer` made them. `failing_since` is when the first of the tries failed since which none succeeded.
    """

    __tablename__ = "webhook"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    project: str = Field(sa_column=_text())
    key: str | None = Field(default=None, sa_column=_text(nullable=True))
    url: str = Field(sa_column=_text())
    description: str = Field(default="", sa_column=_text())
    format: str = Field(default="standard", sa_column=_format())
    events: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    environments: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    enabled: bool = True
    disabled_because: str | None = Field(default=None, sa_column=_text(nullable=True))
    secret: str = Field(sa_column=_text())
    previous_secret: str | None = Field(default=None, sa_column=_text(nullable=True))
    previous_secret_until: datetime | None = Field(default=None, sa_column=_moment())
    cursor: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    failing_since: datetime | None = Field(default=None, sa_column=_moment())
    paused_until: datetime | None = Field(default=None, sa_column=_moment())
    version: int = 1
    created_at: datetime = Field(sa_column=_moment(nullable=False))
    updated_at: datetime = Field(sa_column=_moment(nullable=False))


class DeliveryRow(SQLModel, table=True):
    """One message to one destination; its id is the `webhook-id` of every try.

    `sequence` numbers the audit event that it tells, if it tells one: no event is handed out to a destination twice.
    A server that sends it holds a `lease`, and only who holds it may say how it went.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("webhook_id", "sequence"),
        Index("ix_webhook_delivery_waiting", "webhook_id", "next_at", postgresql_where=text("state = 'waiting'")),
        Index("ix_webhook_delivery_listed", "webhook_id", "created_at", "id"),
        Index("ix_webhook_delivery_created_at", "created_at"),
    )

    id: UUID = Field(primary_key=True)
    webhook_id: UUID = Field(foreign_key="webhook.id", ondelete="CASCADE")
    sequence: int | None = Field(default=None, sa_column=Column(BigInteger))
    type: str = Field(sa_column=_text())
    body: str = Field(sa_column=_text())
    format: str = Field(default="standard", sa_column=_format())
    state: str = Field(sa_column=_text())
    attempts: int = 0
    next_at: datetime = Field(sa_column=_moment(nullable=False))
    lease: UUID | None = None
    leased_until: datetime | None = Field(default=None, sa_column=_moment())
    last_status: int | None = None
    last_error: str | None = Field(default=None, sa_column=_text(nullable=True))
    last_attempt_at: datetime | None = Field(default=None, sa_column=_moment())
    created_at: datetime = Field(sa_column=_moment(nullable=False))
    finished_at: datetime | None = Field(default=None, sa_column=_moment())
