"""Rows that belong to no area."""

from datetime import datetime

from sqlalchemy import JSON, Column, DateTime, Index, Integer, LargeBinary, Text
from sqlmodel import Field, SQLModel


class IdempotencyKeyRow(SQLModel, table=True):
    """What was answered to an `Idempotency-Key`; kept for a day."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index("ix_idempotency_key_created_at", "created_at"),)

    scope: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    fingerprint: str = Field(sa_column=Column(Text, nullable=False))
    status: int = Field(sa_column=Column(Integer, nullable=False))
    headers: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
