"""Rows of the decisions area. All are append-only but for `policy_setting`, `release_gate` and `decision_callback`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


def _text() -> Any:
    return Column(Text, nullable=False)


def _moment(*, nullable: bool = False) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


class PolicyVersionRow(SQLModel, table=True):
    """One immutable version of a policy; `document` is what its author wrote, as canonical JSON (RFC 8785).

    `author` is the person behind the token where one is known, else the token's actor.
    """

    __tablename__ = "policy_version"
    __table_args__ = (
        UniqueConstraint("project_id", "name", "version"),
        UniqueConstraint("project_id", "name", "digest"),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    name: str = Field(sa_column=_text())
    version: int
    digest: str = Field(sa_column=_text())
    document: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    author: str = Field(sa_column=_text())
    authored_at: datetime = Field(sa_column=_moment())


class PolicyActivationRow(SQLModel, table=True):
    """From `at` on a version decides for a service, or with an empty `service` for all that have none of their own.

    The newest one of a service counts; `number` grows by one with each in the project, under the project's lock.
    `is_alone`: the author activated it, because the project had switched the four eyes off.
    """

    __tablename__ = "policy_activation"

    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE", primary_key=True)
    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    service: str = Field(sa_column=_text())
    policy_version_id: UUID = Field(foreign_key="policy_version.id", ondelete="CASCADE")
    person: str = Field(sa_column=_text())
    reason: str = Field(sa_column=_text())
    is_alone: bool
    at: datetime = Field(sa_column=_moment())


class PolicySettingRow(SQLModel, table=True):
    """How a project treats its policies; without a row, as a new one does."""

    __tablename__ = "policy_setting"

    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE", primary_key=True)
    four_eyes: bool = True
    version: int = 1


class DecisionRow(SQLModel, table=True):
    """A decision that was given, and all that it was made from.

    `body` are the canonical bytes of the decision, without the id; `inputs` what `policy.canonical` writes of snapshot,
    request and moment, packed by zstd. Replaying `inputs` gives `body` again. `seq`, `activation` and `revision` tell
    how far facts, policies and the environment's flags had come.
    """

    __tablename__ = "decision"
    __table_args__ = (
        Index("ix_decision_project", "project_id", "decided_at", "id"),
        Index("ix_decision_service", "project_id", "service", "environment", "decided_at"),
    )

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    service: str = Field(sa_column=_text())
    environment: str = Field(sa_column=_text())
    action: str = Field(sa_column=_text())
    verdict: str = Field(sa_column=_text())
    subject: str = Field(sa_column=_text())
    requester: str = Field(sa_column=_text())
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    activation: int = Field(sa_column=Column(BigInteger, nullable=False))
    revision: int = Field(sa_column=Column(BigInteger, nullable=False))
    policy_version_id: UUID | None = Field(default=None, foreign_key="policy_version.id")
    inputs_digest: str = Field(sa_column=_text())
    inputs: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    decided_at: datetime = Field(sa_column=_moment())


class CallbackRow(SQLModel, table=True):
    """Somebody was told to wait and wants to hear what becomes of it; the row goes with the message that tells.

    `webhook` is the key of a destination of the project; else `url` is one, and `secret` signs, as `sealing`
    made it. `seq`, `activation` and `revision` are the marks of the last look, and at `due_at` the next one comes in
    any case. `kind` and `token_id` are the token's that asked.
    """

    __tablename__ = "decision_callback"
    __table_args__ = (Index("ix_decision_callback_project", "project_id"),)

    id: UUID = Field(primary_key=True)
    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE")
    project: str = Field(sa_column=_text())
    environment: str = Field(sa_column=_text())
    decision_id: UUID = Field(foreign_key="decision.id", ondelete="CASCADE")
    webhook: str | None = Field(default=None, sa_column=Column(Text))
    url: str | None = Field(default=None, sa_column=Column(Text))
    secret: str | None = Field(default=None, sa_column=Column(Text))
    kind: str = Field(sa_column=_text())
    token_id: UUID
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    activation: int = Field(sa_column=Column(BigInteger, nullable=False))
    revision: int = Field(sa_column=Column(BigInteger, nullable=False))
    looked_at: datetime = Field(sa_column=_moment())
    due_at: datetime = Field(sa_column=_moment())
    expires_at: datetime = Field(sa_column=_moment())


class GateRow(SQLModel, table=True):
    """What the release gate of an environment makes of decisions; without a row, what is usual."""

    __tablename__ = "release_gate"

    project_id: UUID = Field(foreign_key="project.id", ondelete="CASCADE", primary_key=True)
    environment: str = Field(sa_column=Column(Text, primary_key=True))
    mode: str = Field(sa_column=_text())
    version: int
    updated_at: datetime = Field(sa_column=_moment())
