"""One configuration with what stands around it: what a verb needs of the rows, whether they are rows or not.

Switching a flag is what people wait for, so that way loads no rows: `service_place` makes a `Place` of plain values.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


class Project(Protocol):
    """A project; `ProjectRow` is one."""

    @property
    def id(self) -> UUID: ...
    @property
    def key(self) -> str: ...


class Environment(Protocol):
    """An environment; `EnvironmentRow` is one."""

    @property
    def id(self) -> UUID: ...
    @property
    def key(self) -> str: ...
    @property
    def project_id(self) -> UUID: ...
    @property
    def tier(self) -> str: ...
    @property
    def revision(self) -> int: ...


class Flag(Protocol):
    """What is served of a flag; `FlagRow` is one."""

    @property
    def key(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def variants(self) -> dict[str, Any]: ...
    @property
    def client_visible(self) -> bool: ...
    @property
    def track_exposures(self) -> str: ...
    @property
    def archived_at(self) -> datetime | None: ...


class Serving(Protocol):
    """What of a configuration decides who gets which variant."""

    @property
    def enabled(self) -> bool: ...
    @property
    def off_variant(self) -> str: ...
    @property
    def rules(self) -> list[dict[str, Any]]: ...
    @property
    def fallthrough(self) -> dict[str, Any]: ...


class Configuration(Protocol):
    """How a flag is served in one environment, to be changed; `ConfigurationRow` is one and says what all this is."""

    enabled: bool
    off_variant: str
    prerequisites: list[dict[str, Any]]
    rules: list[dict[str, Any]]
    fallthrough: dict[str, Any]
    version: int
    served_revision: int
    reach: str
    document_bytes: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PlacedProject:
    """A `Project`; `is_governed` if a release policy or somebody else may have to be asked: there is one of either."""

    id: UUID
    key: str
    is_governed: bool


@dataclass(slots=True)
class PlacedEnvironment:
    """An `Environment`."""

    id: UUID
    key: str
    project_id: UUID
    tier: str
    revision: int


@dataclass(frozen=True, slots=True)
class PlacedFlag:
    """A `Flag`."""

    id: UUID
    key: str
    type: str
    variants: dict[str, Any]
    client_visible: bool
    track_exposures: str
    archived_at: datetime | None


@dataclass(slots=True)
class PlacedConfiguration:
    """A `Configuration`."""

    enabled: bool
    off_variant: str
    prerequisites: list[dict[str, Any]]
    rules: list[dict[str, Any]]
    fallthrough: dict[str, Any]
    version: int
    served_revision: int
    reach: str
    document_bytes: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """A configuration, whose it is and where."""

    project: PlacedProject
    environment: PlacedEnvironment
    flag: PlacedFlag
    configuration: PlacedConfiguration
