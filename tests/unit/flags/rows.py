"""Rows in memory, as tests want them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from greenroom_server.flags.standing import dark_configuration
from greenroom_server.flags.tables import ConfigurationRow, EnvironmentRow, FlagRow

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def flag(**members: Any) -> FlagRow:
    given = {
        "id": uuid4(),
        "project_id": uuid4(),
        "key": "new-page",
        "name": "",
        "description": "",
        "owner": "",
        "tags": [],
        "links": [],
        "purpose": "operational",
        "type": "boolean",
        "variants": {"on": True, "off": False},
        "stories": [],
        "client_visible": False,
        "track_exposures": "counts",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return FlagRow(**{**given, **members})


def environment(**members: Any) -> EnvironmentRow:
    given = {
        "id": uuid4(),
        "project_id": uuid4(),
        "key": "production",
        "name": "Production",
        "position": 0,
        "tier": "production",
        "production_like": True,
        "revision": 1,
        "published_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return EnvironmentRow(**{**given, **members})


def configuration(of: FlagRow | None = None, **members: Any) -> ConfigurationRow:
    """A flag's dark configuration with these members on top."""
    row = dark_configuration(of or flag(), environment(), NOW)
    for name, value in members.items():
        setattr(row, name, value)
    return row
