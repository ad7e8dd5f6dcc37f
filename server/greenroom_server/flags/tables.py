"""Rows of the flags area.

Documents (variants, rules, ...) are `json` and not `jsonb`: the order of their members and the difference between
`10` and `10.0` are the author's and must survive.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Column, Date, DateTime, Index, Integer, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from greenroom_server.web.codec import write_json


class Document(JSON):
    """JSON of which every difference counts; to Python `1`, `1.0` and `true` are the same, and so is every order."""

    def compare_values(self, x: Any, y: Any) -> bool:
        return x is y or write_json(x) == write_json(y)


type_of_document = Document(none_as_null=True)


def _text() -> Any:
    return Column(Text, nullable=False)


def _moment(*, nullable: bool = False) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


class ProjectRow(SQLModel, table=True):
    """A project. Its row lock puts the writers of one project in one order."""

    __tablename__ = "project"

    id: UUID = Field(primary_key=True)
    key: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    name: str = Field(sa_column=_text())
    description: str = Field(sa_column=_text())
    version: int = 1
    created_at: datetime = Field(sa_column=_moment())
    updated_at: datetime = Field(sa_column=_moment())


class EnvironmentRow(SQLModel, table=True):
    """An environment; `revision` grows by one with every change of what it serves."""

    __tablename__ = "environment"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    key: str = Field(sa_column=_text())
    name: str = Field(sa_column=_text())
    position: int
    tier: str = Field(sa_column=_text())
    production_like: bool
    revision: int = Field(default=1, sa_column=Column(BigInteger, nullable=False))
    published_at: datetime = Field(sa_column=_moment())
    version: int = 1
    created_at: datetime = Field(sa_column=_moment())
    updated_at: datetime = Field(sa_column=_moment())


class FlagRow(SQLModel, table=True):
    """What a flag is in all environments alike."""

    __tablename__ = "flag"
    __table_args__ = (
        UniqueConstraint("project_id", "key"),
        Index("ix_flag_tags", "tags", postgresql_using="gin"),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    key: str = Field(sa_column=_text())
    name: str = Field(sa_column=_text())
    description: str = Field(sa_column=_text())
    owner: str = Field(sa_column=_text())
    tags: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    links: list[dict[str, str]] = Field(sa_column=Column(type_of_document, nullable=False))
    purpose: str = Field(sa_column=_text())
    expires_on: date | None = Field(default=None, sa_column=Column(Date))
    type: str = Field(sa_column=_text())
    variants: dict[str, Any] = Field(sa_column=Column(type_of_document, nullable=False))
    value_schema: dict[str, Any] | None = Field(default=None, sa_column=Column(type_of_document))
    stories: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    client_visible: bool
    track_exposures: str = Field(sa_column=_text())
    version: int = 1
    archived_at: datetime | None = Field(default=None, sa_column=_moment(nullable=True))
    created_at: datetime = Field(sa_column=_moment())
    updated_at: datetime = Field(sa_column=_moment())


class ConfigurationRow(SQLModel, table=True):
    """How a flag is served in one environment.

    `version` counts the edits (`ETag`); `served_revision` is the environment's revision at which what is served last
    changed; `reach` (`none`, `some`, `all`) and `document_bytes` are derived on save.
    """

    __tablename__ = "flag_configuration"

    flag_id: UUID = Field(foreign_key="flag.id", ondelete="CASCADE", primary_key=True)
    environment_id: UUID = Field(foreign_key="environment.id", ondelete="CASCADE", primary_key=True, index=True)
    enabled: bool
    off_variant: str = Field(sa_column=_text())
    prerequisites: list[dict[str, Any]] = Field(sa_column=Column(type_of_document, nullable=False))
    rules: list[dict[str, Any]] = Field(sa_column=Column(type_of_document, nullable=False))
    fallthrough: dict[str, Any] = Field(sa_column=Column(type_of_document, nullable=False))
    version: int = 1
    served_revision: int = Field(sa_column=Column(BigInteger, nullable=False))
    reach: str = Field(sa_column=_text())
    document_bytes: int = Field(sa_column=Column(Integer, nullable=False))
    updated_at: datetime = Field(sa_column=_moment())


class SegmentRow(SQLModel, table=True):
    """A named condition that flags of the project share."""

    __tablename__ = "segment"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    key: str = Field(sa_column=_text())
    name: str = Field(sa_column=_text())
    description: str = Field(sa_column=_text())
    when: dict[str, Any] = Field(sa_column=Column("condition", type_of_document, nullable=False))
    version: int = 1
    document_bytes: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: datetime = Field(sa_column=_moment())
    updated_at: datetime = Field(sa_column=_moment())


class TombstoneRow(SQLModel, table=True):
    """A key that was deleted and is never given out again; `scope` is the project's id, or empty for projects."""

    __tablename__ = "tombstone"

    scope: str = Field(sa_column=Column(Text, primary_key=True))
    kind: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    deleted_at: datetime = Field(sa_column=_moment())
    deleted_by: str = Field(sa_column=_text())


class ChangeRow(SQLModel, table=True):
    """Which flags and segments one revision of an environment touched; old ones are pruned."""

    __tablename__ = "environment_change"

    environment_id: UUID = Field(foreign_key="environment.id", ondelete="CASCADE", primary_key=True)
    revision: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    flags: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    segments: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
