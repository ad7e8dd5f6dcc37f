"""Rows of change requests. Documents are `json`, as in the flags area: what authors wrote stays as they wrote it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Column, DateTime, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel


def _text(*, nullable: bool = False) -> Any:
    return Column(Text, nullable=nullable)


def _texts() -> Any:
    return Column(ARRAY(Text), nullable=False)


def _moment(*, nullable: bool = False) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


class ApprovalSettingRow(SQLModel, table=True):
    """How many other people must agree before an environment serves something else; without a row, nobody must."""

    __tablename__ = "approval_setting"

    environment_id: UUID = Field(foreign_key="environment.id", ondelete="CASCADE", primary_key=True)
    required: int = 0
    roles: list[str] = Field(default_factory=list, sa_column=_texts())
    headless: list[str] = Field(default_factory=list, sa_column=_texts())
    expires_after_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    version: int = 1


class ChangeRequestRow(SQLModel, table=True):
    """A set of changes that waits for others to agree.

    `hash` names `changes` together with `bases`, what they were written for; a word counts for one hash only. `state`
    is as it was found last: time, settings and people can move it, so readers derive it anew. `environments` are those
    that would serve something else, each of which must be satisfied. `setting_version` is that of the environment's
    setting when a moment was agreed (`apply_at`), and `held` says why nothing was applied then.
    """

    __tablename__ = "change_request"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        Index("ix_change_request_environment", "environment_id", "number"),
        Index(
            "ix_change_request_waiting",
            "expires_at",
            "apply_at",
            postgresql_where=text("state IN ('open', 'approved', 'rejected')"),
        ),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    environment_id: UUID = Field(foreign_key="environment.id", ondelete="CASCADE")
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
    title: str = Field(sa_column=_text())
    reason: str = Field(sa_column=_text())
    state: str = Field(sa_column=_text())
    author: str = Field(sa_column=_text())
    editors: list[str] = Field(sa_column=_texts())
    changes: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    bases: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    diff: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    hash: str = Field(sa_column=_text())
    environments: list[str] = Field(sa_column=_texts())
    apply_at: datetime | None = Field(default=None, sa_column=_moment(nullable=True))
    scheduled_by: UUID | None = None
    setting_version: int | None = None
    held: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    version: int = 1
    created_at: datetime = Field(sa_column=_moment())
    updated_at: datetime = Field(sa_column=_moment())
    expires_at: datetime | None = Field(default=None, sa_column=_moment(nullable=True))
    approved_until: datetime | None = Field(default=None, sa_column=_moment(nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=_moment(nullable=True))
    ended_by: str | None = Field(default=None, sa_column=_text(nullable=True))


class WordRow(SQLModel, table=True):
    """What somebody said of a change request with this `hash`; never changed, but for being taken back.

    `who` is a person as their token names them, or `machine:<role>`; `roles` are those that they had then.
    """

    __tablename__ = "change_request_word"
    __table_args__ = (
        ForeignKeyConstraint(["change_request_id"], ["change_request.id"], ondelete="CASCADE"),
        Index("ix_change_request_word_request", "change_request_id", "seq"),
    )

    id: UUID = Field(primary_key=True)
    change_request_id: UUID
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    verdict: str = Field(sa_column=_text())
    hash: str = Field(sa_column=_text())
    who: str = Field(sa_column=_text())
    actor: str = Field(sa_column=_text())
    roles: list[str] = Field(sa_column=_texts())
    reason: str = Field(sa_column=_text())
    at: datetime = Field(sa_column=_moment())
    retracted_at: datetime | None = Field(default=None, sa_column=_moment(nullable=True))
