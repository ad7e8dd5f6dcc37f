"""Rows of the audit log; the migration adds triggers that refuse to change or delete them."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel


class AuditHeadRow(SQLModel, table=True):
    """The end of one chain; its row lock puts the writers of a chain in one order."""

    __tablename__ = "audit_head"

    chain: str = Field(sa_column=Column(Text, primary_key=True))
    sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class AuditEventRow(SQLModel, table=True):
    """One event. `body` is the very text that was hashed; the other columns repeat parts of it for searching."""

    __tablename__ = "audit_event"
    __table_args__ = (Index("ix_audit_event_at", "at", "chain", "sequence"),)

    chain: str = Field(sa_column=Column(Text, primary_key=True))
    sequence: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    actor: str = Field(sa_column=Column(Text, nullable=False))
    action: str = Field(sa_column=Column(Text, nullable=False, index=True))
    target: str = Field(sa_column=Column(Text, nullable=False, index=True))
    body: str = Field(sa_column=Column(Text, nullable=False))
    previous_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
