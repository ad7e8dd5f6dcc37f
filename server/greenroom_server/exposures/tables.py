"""Rows of the exposures area.

All but instances and alerts live in partitions of a day, which housekeeping makes ahead and drops when they are too
old. Ids are UUIDs of version 7, which begin with the time, so the day follows from the id and an id is unique as such.
No foreign keys: their checks would cost each row, and what belongs to a deleted environment ages out.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Double, Index, Text, Uuid
from sqlmodel import Field, SQLModel

_BY_ID = {"postgresql_partition_by": "RANGE (id)"}


def _text() -> Any:
    return Column(Text, nullable=False)


def _moment() -> Any:
    return Column(DateTime(timezone=True), nullable=False)


class ExposureRow(SQLModel, table=True):
    """One subject was served one variant."""

    __tablename__ = "exposure"
    __table_args__ = (Index("ix_exposure_flag", "environment_id", "flag", "at"), _BY_ID)

    id: UUID = Field(primary_key=True)
    environment_id: UUID
    flag: str = Field(sa_column=_text())
    variant: str = Field(sa_column=_text())
    targeting_key: str = Field(sa_column=_text())
    at: datetime = Field(sa_column=_moment())


class OutcomeRow(SQLModel, table=True):
    """Something that a subject did, as the application tracked it."""

    __tablename__ = "outcome"
    __table_args__ = (Index("ix_outcome_name", "environment_id", "name", "at"), _BY_ID)

    id: UUID = Field(primary_key=True)
    environment_id: UUID
    name: str = Field(sa_column=_text())
    value: float | None = Field(default=None, sa_column=Column(Double))
    targeting_key: str = Field(sa_column=_text())
    at: datetime = Field(sa_column=_moment())


class CountReceiptRow(SQLModel, table=True):
    """A reported count that is in the sums already."""

    __tablename__ = "count_receipt"
    __table_args__ = _BY_ID

    id: UUID = Field(primary_key=True)


class ExposureCountRow(SQLModel, table=True):
    """How often a flag gave a variant for a reason within a minute, in all instances; no variant is an empty one."""

    __tablename__ = "exposure_count"
    __table_args__ = {"postgresql_partition_by": "RANGE (minute)"}

    environment_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    flag: str = Field(sa_column=Column(Text, primary_key=True))
    minute: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    variant: str = Field(sa_column=Column(Text, primary_key=True))
    reason: str = Field(sa_column=Column(Text, primary_key=True))
    count: int = Field(sa_column=Column(BigInteger, nullable=False))


class InstanceRow(SQLModel, table=True):
    """A running application with an SDK in it. `reached_at` is when it began to serve `revision` of `epoch`."""

    __tablename__ = "sdk_instance"
    __table_args__ = (Index("ix_sdk_instance_last_seen", "last_seen"),)

    environment_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: str = Field(sa_column=Column(Text, primary_key=True))
    sdk: str = Field(sa_column=_text())
    sdk_version: str = Field(sa_column=_text())
    application: str = Field(sa_column=_text())
    version: str = Field(sa_column=_text())
    build: str = Field(sa_column=_text())
    epoch: str = Field(sa_column=_text())
    revision: int = Field(sa_column=Column(BigInteger, nullable=False))
    reached_at: datetime = Field(sa_column=_moment())
    first_seen: datetime = Field(sa_column=_moment())
    last_seen: datetime = Field(sa_column=_moment())
    dropped: int = Field(sa_column=Column(BigInteger, nullable=False))


class DarknessAlertRow(SQLModel, table=True):
    """A variant was served of a flag that had gone dark at `dark_since`."""

    __tablename__ = "darkness_alert"

    environment_id: UUID = Field(foreign_key="environment.id", ondelete="CASCADE", primary_key=True)
    flag: str = Field(sa_column=Column(Text, primary_key=True))
    variant: str = Field(sa_column=Column(Text, primary_key=True))
    dark_since: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    first_at: datetime = Field(sa_column=_moment())
    last_at: datetime = Field(sa_column=_moment())
    evaluations: int = Field(sa_column=Column(BigInteger, nullable=False))
    raised_at: datetime = Field(sa_column=_moment())
