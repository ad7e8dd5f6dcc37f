"""Which services a flag is in: those that worked on a story which the flag hides."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.direct import fetch_all


@dataclass(frozen=True, slots=True)
class Linked:
    """What a flag belongs to. It may hide a story that no service has worked on yet."""

    hides_story: bool
    services: tuple[str, ...]


async def links_of(session: AsyncSession, project_id: UUID, flags: Collection[str]) -> dict[str, Linked]:
    """Of each of these flags but those that are gone: either the flag names the story, or the story the flag."""
    rows = await fetch_all(session, _LINKS, project_id, list(flags))
    return {row["key"]: Linked(row["hides_story"], tuple(row["services"])) for row in rows}


_LINKS: Final = """
SELECT flag.key, count(told.story) > 0 AS hides_story,
    coalesce(array_agg(DISTINCT service.key ORDER BY service.key) FILTER (WHERE service.key IS NOT NULL), '{}')
        AS services
FROM flag
LEFT JOIN LATERAL (
    SELECT unnest(flag.stories) AS story
    UNION SELECT story.key FROM story WHERE story.project_id = $1 AND story.flags @> ARRAY[flag.key]
) told ON true
LEFT JOIN (story_work JOIN service ON service.id = story_work.service_id AND service.project_id = $1)
    ON story_work.story = told.story
WHERE flag.project_id = $1 AND flag.key = ANY ($2::text[])
GROUP BY flag.key
"""
