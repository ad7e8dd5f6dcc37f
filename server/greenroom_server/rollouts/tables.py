"""Rows of named releases. Documents are `json`, as the flags' are: `10.0` stays `10.0`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Boolean, Column, DateTime, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel


def _text(*, nullable: bool = False) -> Any:
    return Column(Text, nullable=nullable)


def _texts() -> Any:
    return Column(ARRAY(Text), nullable=False)


def _moment(*, nullable: bool = True) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


def _document(*, nullable: bool = False) -> Any:
    return Column(JSON(none_as_null=True), nullable=nullable)


class ReleaseRow(SQLModel, table=True):
    """A release: its plan as authored, and where it stands (`plan.Standing`).

    INVARIANT: whatever changes moves `version`, and is written only where the version is still the one that it was
    decided on. So a server that slept over a step writes nothing. `author` wrote the plan as it is, and `starter` said
    last that it should go: both are people, or tokens that name none.
    """

    __tablename__ = "named_release"
    __table_args__ = (
        UniqueConstraint("project_id", "key"),
        Index("ix_named_release_active", "id", postgresql_where=text("state IN ('scheduled', 'running', 'held')")),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    project: str = Field(sa_column=_text())
    key: str = Field(sa_column=_text())
    name: str = Field(sa_column=_text())
    description: str = Field(sa_column=_text())
    environment: str = Field(sa_column=_text())
    flags: list[str] = Field(sa_column=_texts())
    document: dict[str, Any] = Field(sa_column=_document())
    digest: str = Field(sa_column=_text())
    author: str = Field(sa_column=_text())
    starter: str | None = Field(default=None, sa_column=_text(nullable=True))
    state: str = Field(sa_column=_text())
    step: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    since: datetime | None = Field(default=None, sa_column=_moment())
    counts_from: datetime | None = Field(default=None, sa_column=_moment())
    due_at: datetime | None = Field(default=None, sa_column=_moment())
    schedule: dict[str, Any] | None = Field(default=None, sa_column=_document(nullable=True))
    waits_until: datetime | None = Field(default=None, sa_column=_moment())
    is_dark: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    hold: dict[str, Any] | None = Field(default=None, sa_column=_document(nullable=True))
    version: int = Field(default=1, sa_column=Column(Integer, nullable=False))
    created_at: datetime = Field(sa_column=_moment(nullable=False))
    updated_at: datetime = Field(sa_column=_moment(nullable=False))


class ReleaseFlagRow(SQLModel, table=True):
    """A flag that a release has taken up: its configuration before, and as the release last wrote it.

    `flag_version` is the configuration's version then: another one says that somebody else changed it.
    """

    __tablename__ = "named_release_flag"

    release_id: UUID = Field(foreign_key="named_release.id", ondelete="CASCADE", primary_key=True)
    flag: str = Field(sa_column=Column(Text, primary_key=True))
    before: dict[str, Any] = Field(sa_column=_document())
    written: dict[str, Any] = Field(sa_column=_document())
    flag_version: int = Field(sa_column=Column(Integer, nullable=False))


class ReleaseApprovalRow(SQLModel, table=True):
    """Somebody's word that a release may go on from a step, as its plan was then (`digest`)."""

    __tablename__ = "named_release_approval"
    __table_args__ = (UniqueConstraint("release_id", "step", "digest", "person"),)

    id: UUID = Field(primary_key=True)
    release_id: UUID = Field(foreign_key="named_release.id", ondelete="CASCADE")
    step: int = Field(sa_column=Column(Integer, nullable=False))
    digest: str = Field(sa_column=_text())
    person: str = Field(sa_column=_text())
    roles: list[str] = Field(sa_column=_texts())
    reason: str = Field(sa_column=_text())
    at: datetime = Field(sa_column=_moment(nullable=False))


class ReleaseMoveRow(SQLModel, table=True):
    """One change of what a release serves. `version` is the release's after it, so no two moves share one."""

    __tablename__ = "named_release_move"

    release_id: UUID = Field(foreign_key="named_release.id", ondelete="CASCADE", primary_key=True)
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    kind: str = Field(sa_column=_text())
    from_step: int = Field(sa_column=Column(Integer, nullable=False))
    to_step: int = Field(sa_column=Column(Integer, nullable=False))
    at: datetime = Field(sa_column=_moment(nullable=False))
    actor: str = Field(sa_column=_text())
    reason: str = Field(sa_column=_text())
