"""Rows of the access area: the installation and its tokens."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel


class InstallationRow(SQLModel, table=True):
    """The one row of this installation.

    `access_revision` grows with every change of a token: processes that see it grow read the tokens again.
    """

    __tablename__ = "installation"

    id: int = Field(default=1, primary_key=True)
    installation_id: UUID
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    access_revision: int = 0
    stream_secret: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    setup_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    set_up_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class TokenRow(SQLModel, table=True):
    """A credential; only the SHA-256 of its text is kept.

    `environment_id` and the two keys are set for SDK keys only; keys of projects and environments never change.
    `person` is who holds it, in small letters, and `roles` are those that they have in release policies.
    """

    __tablename__ = "token"

    id: UUID = Field(primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    hint: str = Field(sa_column=Column(Text, nullable=False))
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    projects: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    environments: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    environment_id: UUID | None = Field(default=None, index=True)
    project_key: str | None = Field(default=None, sa_column=Column(Text))
    environment_key: str | None = Field(default=None, sa_column=Column(Text))
    person: str | None = Field(default=None, sa_column=Column(Text))
    roles: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    created_by: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    last_used_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
