"""Whom the flags behind stories reach in one environment, for those who look at how far a story has come."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.direct import Record, fetch_all
from greenroom_server.flags.service_dark import SERVED, Served
from greenroom_server.flags.standing import is_dark

FlagState = Literal["dark", "some", "all"]


@dataclass(frozen=True, slots=True)
class FlagReach:
    """A flag that is not archived: `dark` to all but the internal segment, or served to `some` or `all`.

    `since` is when its configuration was last edited there.
    """

    flag: str
    stories: tuple[str, ...]
    state: FlagState
    since: datetime
    expires_on: date | None


async def reaches(
    session: AsyncSession,
    place: tuple[UUID, str],
    keys: Collection[str],
    stories: Collection[str],
    internal_segment: str | None,
) -> list[FlagReach]:
    """These flags, and those that name one of these stories, in a place (project id, environment key)."""
    rows = await fetch_all(session, _REACHES, *place, list(keys), list(stories))
    return [
        FlagReach(
            row["key"], tuple(row["stories"]), _state(row, internal_segment), row["updated_at"], row["expires_on"]
        )
        for row in rows
    ]


def _state(row: Record, internal_segment: str | None) -> FlagState:
    if is_dark(Served(*(row[name] for name in SERVED)), internal_segment):
        return "dark"
    return "all" if row["reach"] == "all" else "some"


_REACHES: Final = """
SELECT flag.key, flag.stories, flag.expires_on, served.enabled, served.off_variant, served.rules, served.fallthrough,
    served.reach, served.updated_at
FROM flag JOIN flag_configuration served ON served.flag_id = flag.id
JOIN environment ON environment.id = served.environment_id
WHERE flag.project_id = $1 AND environment.key = $2 AND flag.archived_at IS NULL
    AND (flag.key = ANY ($3::text[]) OR flag.stories && $4::text[])
ORDER BY flag.key
"""
