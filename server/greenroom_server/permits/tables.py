"""Rows of the permits area: the keys that sign, and what was signed. Permits themselves are facts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel


def _text() -> Any:
    return Column(Text, nullable=False)


def _moment(*, nullable: bool = False) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


class PermitKeyRow(SQLModel, table=True):
    """A project's key for signatures (Ed25519); the one that is not retired signs.

    `private_key` are the 32 bytes in base64 as `sealing.Sealer` made them of it; `key_id` is the SHA-256 of the public
    key's DER (SubjectPublicKeyInfo).
    """

    __tablename__ = "permit_key"
    __table_args__ = (
        Index("ix_permit_key_signing", "project_id", unique=True, postgresql_where=text("retired_at IS NULL")),
    )

    project_id: UUID = Field(foreign_key="release_ledger.project_id", ondelete="CASCADE", primary_key=True)
    key_id: str = Field(sa_column=Column(Text, primary_key=True))
    public_key: str = Field(sa_column=_text())
    private_key: str = Field(sa_column=_text())
    created_at: datetime = Field(sa_column=_moment())
    retired_at: datetime | None = Field(default=None, sa_column=_moment(nullable=True))


class AttestationRow(SQLModel, table=True):
    """A DSSE envelope about a decision, byte for byte as it was given out; `kind` is `verdict` or `break_glass`."""

    __tablename__ = "attestation"

    decision_id: UUID = Field(foreign_key="decision.id", ondelete="CASCADE", primary_key=True)
    kind: str = Field(sa_column=Column(Text, primary_key=True))
    envelope: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    made_at: datetime = Field(sa_column=_moment())
