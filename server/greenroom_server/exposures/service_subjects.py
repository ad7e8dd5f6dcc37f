"""Who was served what, one by one: the newest, or what came after one that is known."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from greenroom_server.errors import Forbidden
from greenroom_server.exposures.partitions import lowest_id_at
from greenroom_server.exposures.wire import ExposureOut
from greenroom_server.flags.service_scope import get_environment, get_project
from greenroom_server.flags.work import Work, plain


async def exposures_after(
    work: Work, place: tuple[str, str], after: UUID | datetime, *, flag: str | None, limit: int, is_newest: bool
) -> list[dict[str, object]]:
    """In the order of their ids: the first after `after` or, with `is_newest`, the last.

    Raises `Forbidden` in production without `production.subjects`: targeting keys are about people.
    """
    project = await get_project(work.session, place[0])
    environment = await get_environment(work.session, project, place[1])
    if environment.tier == "production" and not work.principal.allows("production.subjects"):
        raise Forbidden(
            f"this shows whom `{environment.key}` served what, and that takes the permission `production.subjects`"
        )
    values = {
        "environment": environment.id,
        "after": lowest_id_at(after) if isinstance(after, datetime) else after,
        "flag": flag,
        "most": limit,
    }
    rows = await work.session.execute(_NEWEST if is_newest else _NEXT, values)
    found = [plain(ExposureOut.model_validate({**row, "id": str(row["id"])})) for row in rows.mappings()]
    return found[::-1] if is_newest else found


_SELECT: Final = """
SELECT id, flag, variant, targeting_key, at FROM exposure
WHERE environment_id = :environment AND id > :after AND (CAST(:flag AS text) IS NULL OR flag = :flag)
"""
_NEXT: Final = text(f"{_SELECT} ORDER BY id LIMIT :most")
_NEWEST: Final = text(f"{_SELECT} ORDER BY id DESC LIMIT :most")
