"""Rows of what is built and runs: services, builds, stories, deployments, and the ledger that numbers all facts.

INVARIANT: every `seq` is taken from the project's ledger under its row lock and committed with the fact, so the
numbers have no gaps, and whoever has seen one has seen all before it. Facts point to the ledger and not to the project,
whose row is locked by the writers of flags.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel


def text_column(*, nullable: bool = False) -> Any:
    return Column(Text, nullable=nullable)


def texts_column() -> Any:
    return Column(ARRAY(Text), nullable=False)


def moment_column(*, nullable: bool = False) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


def seq_column(*, nullable: bool = False) -> Any:
    return Column(BigInteger, nullable=nullable)


class LedgerRow(SQLModel, table=True):
    """The end of a project's facts; its row lock puts their writers in one order.

    `internal_segment` names the segment whose members may be served a feature that counts as dark.
    """

    __tablename__ = "release_ledger"

    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE", primary_key=True)
    seq: int = Field(sa_column=seq_column())
    internal_segment: str | None = Field(default=None, sa_column=text_column(nullable=True))


class PlaceRow(SQLModel, table=True):
    """A service in an environment, there to be locked (`service_places`); neither is bound to be there."""

    __tablename__ = "release_place"

    project_id: UUID = Field(foreign_key="release_ledger.project_id", ondelete="CASCADE", primary_key=True)
    service: str = Field(sa_column=Column(Text, primary_key=True))
    environment: str = Field(sa_column=Column(Text, primary_key=True))


class ServiceRow(SQLModel, table=True):
    """Something that is built and deployed as one."""

    __tablename__ = "service"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="release_ledger.project_id", ondelete="CASCADE")
    key: str = Field(sa_column=text_column())
    name: str = Field(sa_column=text_column())
    description: str = Field(sa_column=text_column())
    version: int = 1
    created_at: datetime = Field(sa_column=moment_column())
    updated_at: datetime = Field(sa_column=moment_column())


class BuildRow(SQLModel, table=True):
    """One artifact. `parent_id` is the build it grew from, None until one with `parent` (digest or commit) is known.

    `stories` are those that the build itself names; its commits name theirs.
    """

    __tablename__ = "build"
    __table_args__ = (
        Index("ix_build_service", "service_id", "seq"),
        Index("ix_build_commit", "service_id", "commit"),
        Index("ix_build_orphan", "service_id", "parent", postgresql_where=text("parent_id IS NULL")),
    )

    id: UUID = Field(primary_key=True)
    service_id: UUID = Field(foreign_key="service.id", ondelete="CASCADE")
    commit: str = Field(sa_column=text_column())
    branch: str | None = Field(default=None, sa_column=text_column(nullable=True))
    parent: str | None = Field(default=None, sa_column=text_column(nullable=True))
    parent_id: UUID | None = Field(default=None, foreign_key="build.id", ondelete="SET NULL", index=True)
    triggered_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    url: str | None = Field(default=None, sa_column=text_column(nullable=True))
    stories: list[str] = Field(sa_column=texts_column())
    seq: int = Field(sa_column=seq_column())
    registered_at: datetime = Field(sa_column=moment_column())
    actor: str = Field(sa_column=text_column())


class BuildDigestRow(SQLModel, table=True):
    """A digest under which a build is known; `same_as` is the one that it was declared equal to, if it came later."""

    __tablename__ = "build_digest"

    service_id: UUID = Field(foreign_key="service.id", ondelete="CASCADE", primary_key=True)
    digest: str = Field(sa_column=Column(Text, primary_key=True))
    build_id: UUID = Field(foreign_key="build.id", ondelete="CASCADE", index=True)
    platform: str | None = Field(default=None, sa_column=text_column(nullable=True))
    same_as: str | None = Field(default=None, sa_column=text_column(nullable=True))
    seq: int = Field(sa_column=seq_column())
    declared_at: datetime = Field(sa_column=moment_column())
    actor: str = Field(sa_column=text_column())


class BuildCommitRow(SQLModel, table=True):
    """A commit that a build has and its parent lacks, oldest first."""

    __tablename__ = "build_commit"
    __table_args__ = (Index("ix_build_commit_commit", "commit"),)

    build_id: UUID = Field(foreign_key="build.id", ondelete="CASCADE", primary_key=True)
    position: int = Field(primary_key=True)
    commit: str = Field(sa_column=text_column())
    authors: list[str] = Field(sa_column=texts_column())
    stories: list[str] = Field(sa_column=texts_column())


class StoryRow(SQLModel, table=True):
    """What a customer is to get. Its history is in the facts of kind `story`."""

    __tablename__ = "story"
    __table_args__ = (Index("ix_story_flags", "flags", postgresql_using="gin"),)

    project_id: UUID = Field(foreign_key="release_ledger.project_id", ondelete="CASCADE", primary_key=True)
    key: str = Field(sa_column=Column(Text, primary_key=True))
    title: str = Field(sa_column=text_column())
    url: str | None = Field(default=None, sa_column=text_column(nullable=True))
    flags: list[str] = Field(sa_column=texts_column())
    reopened_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    created_at: datetime = Field(sa_column=moment_column())
    updated_at: datetime = Field(sa_column=moment_column())


class StoryWorkRow(SQLModel, table=True):
    """The newest commit of a service that works on a story."""

    __tablename__ = "story_work"

    service_id: UUID = Field(foreign_key="service.id", ondelete="CASCADE", primary_key=True)
    story: str = Field(sa_column=Column(Text, primary_key=True))
    commit: str = Field(sa_column=text_column())
    seq: int = Field(sa_column=seq_column())


class DeploymentRow(SQLModel, table=True):
    """A digest that was, or is being, put into an environment (and slot); `slot` is empty where there are none.

    `deployed_at` to `removed_at` is when it ran. Each of the three numbers is of the fact that said so. `sanction` says
    by what it was let through, and nothing where nobody asked.
    """

    __tablename__ = "deployment"
    __table_args__ = (
        Index("ix_deployment_place", "service_id", "environment", "slot", "seq"),
        Index("ix_deployment_digest", "service_id", "digest"),
        Index("ix_deployment_running", "service_id", postgresql_where=text("removed_at IS NULL")),
    )

    id: UUID = Field(primary_key=True)
    service_id: UUID = Field(foreign_key="service.id", ondelete="CASCADE")
    environment: str = Field(sa_column=text_column())
    slot: str = Field(sa_column=text_column())
    digest: str = Field(sa_column=text_column())
    state: str = Field(sa_column=text_column())
    started_at: datetime = Field(sa_column=moment_column())
    deployed_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    failed_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    removed_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    automated: bool = Field(sa_column=Column(Boolean, nullable=False))
    manual_steps: int = Field(sa_column=Column(Integer, nullable=False))
    duration_ms: int | None = Field(default=None, sa_column=Column(BigInteger))
    permit: str | None = Field(default=None, sa_column=text_column(nullable=True))
    sanction: str | None = Field(default=None, sa_column=text_column(nullable=True))
    run: str | None = Field(default=None, sa_column=text_column(nullable=True))
    url: str | None = Field(default=None, sa_column=text_column(nullable=True))
    seq: int = Field(sa_column=seq_column())
    ended_seq: int | None = Field(default=None, sa_column=seq_column(nullable=True))
    received_at: datetime = Field(sa_column=moment_column())
    actor: str = Field(sa_column=text_column())


class LiveRow(SQLModel, table=True):
    """A stretch of time in which a deployment had the traffic of its environment; one may come live again."""

    __tablename__ = "deployment_live"
    __table_args__ = (Index("ix_deployment_live_now", "deployment_id", postgresql_where=text("live_to IS NULL")),)

    deployment_id: UUID = Field(foreign_key="deployment.id", ondelete="CASCADE", primary_key=True)
    live_from: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    live_to: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    seq: int = Field(sa_column=seq_column())
    ended_seq: int | None = Field(default=None, sa_column=seq_column(nullable=True))
