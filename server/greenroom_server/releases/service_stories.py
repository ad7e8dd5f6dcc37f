"""The verbs on stories. A build that names an unknown one creates it, so commits and stories may come in any order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from greenroom_server.errors import NotFound
from greenroom_server.flags.work import Changes, Outcome, Work, differences, plain
from greenroom_server.releases.service_facts import Saying, say
from greenroom_server.releases.service_scope import Ledger, Place, open_ledger, place_of
from greenroom_server.releases.tables import ServiceRow, StoryRow, StoryWorkRow
from greenroom_server.releases.wire import StoryIn, StoryOut, StoryWorkOut


@dataclass(frozen=True, slots=True)
class StoryFilter:
    """Which stories to list; None takes all. `text` looks into key and title."""

    flag: str | None = None
    text: str | None = None


async def page_stories(
    work: Work, project_key: str, wanted: StoryFilter, *, after: str | None, limit: int
) -> list[StoryOut]:
    """Stories in the order of their keys."""
    place = await place_of(work, project_key)
    query = select(StoryRow).where(col(StoryRow.project_id) == place.project_id).order_by(col(StoryRow.key))
    if after is not None:
        query = query.where(col(StoryRow.key) > after)
    if wanted.flag is not None:
        query = query.where(col(StoryRow.flags).contains([wanted.flag]))
    if wanted.text:
        sought = func.lower(wanted.text)
        columns = (col(StoryRow.key), col(StoryRow.title))
        query = query.where(or_(*(func.strpos(func.lower(column), sought) > 0 for column in columns)))
    return await _outs(work, place, list(await work.session.scalars(query.limit(limit))))


async def read_story(work: Work, project_key: str, key: str) -> StoryOut:
    place = await place_of(work, project_key)
    return (await _outs(work, place, [await _get(work, place, key)]))[0]


async def put_story(work: Work, project_key: str, key: str, wanted: StoryIn) -> Outcome[StoryOut]:
    """Make the story, or replace what people wrote about it. Its flags may come later than the story."""
    ledger = await open_ledger(work, project_key)
    row = await work.session.get(StoryRow, (ledger.project_id, key))
    before = None if row is None else StoryIn.model_validate(row.model_dump(include=set(StoryIn.model_fields)))
    changes = differences(None if before is None else plain(before), plain(wanted))
    if row is None:
        row = _new(ledger, key, work, wanted)
        work.session.add(row)
    elif changes:
        row.title, row.url, row.flags, row.updated_at = wanted.title, wanted.url, wanted.flags, work.now
    return await _noted(work, ledger, row, "story.put", changes, plain(wanted))


async def reopen_story(work: Work, project_key: str, key: str, reason: str) -> Outcome[StoryOut]:
    """Say that it is not done after all: what was demonstrated before counts no more."""
    ledger = await open_ledger(work, project_key)
    row = await _get(work, ledger, key)
    before, row.reopened_at, row.updated_at = row.reopened_at, work.now, work.now
    changes: Changes = [
        {
            "path": "/reopened_at",
            "op": "replace",
            "from": None if before is None else before.isoformat(),
            "to": work.now.isoformat(),
        }
    ]
    if reason:
        changes.append({"path": "/reason", "op": "add", "to": reason})
    return await _noted(work, ledger, row, "story.reopen", changes, {"reopened": True, "reason": reason})


async def ensure_stories(work: Work, ledger: Ledger, keys: Iterable[str]) -> None:
    """Create those that are not known yet, with nothing but their keys."""
    wanted = sorted(set(keys))
    if wanted:
        rows = [_new(ledger, key, work, StoryIn()).model_dump() for key in wanted]
        await work.session.execute(insert(StoryRow).on_conflict_do_nothing(), rows)


async def note_work(work: Work, service_id: UUID, seq: int, newest: dict[str, str], *, is_newest: bool) -> None:
    """Remember the newest commit on each story. A build that others grew from already is no news to them."""
    if not newest:
        return
    rows = [{"service_id": service_id, "story": key, "commit": newest[key], "seq": seq} for key in sorted(newest)]
    added = insert(StoryWorkRow).values(rows)
    if is_newest:
        values = {"commit": added.excluded.commit, "seq": added.excluded.seq}
        await work.session.execute(added.on_conflict_do_update(index_elements=["service_id", "story"], set_=values))
    else:
        await work.session.execute(added.on_conflict_do_nothing())


def story_path(project_key: str, key: str) -> str:
    return f"/api/v1/projects/{project_key}/stories/{key}"


def _new(ledger: Ledger, key: str, work: Work, wanted: StoryIn) -> StoryRow:
    return StoryRow(
        project_id=ledger.project_id, key=key, **wanted.model_dump(), created_at=work.now, updated_at=work.now
    )


async def _get(work: Work, place: Place | Ledger, key: str) -> StoryRow:
    row = await work.session.get(StoryRow, (place.project_id, key))
    if row is None:
        raise NotFound(f"there is no story `{key}` in project `{place.project_key}`")
    return row


async def _noted(
    work: Work, ledger: Ledger, row: StoryRow, action: str, changes: Changes, said: dict[str, Any]
) -> Outcome[StoryOut]:
    await work.session.flush()
    if changes:
        await say(work, ledger, Saying("story", body={"key": row.key, **said}))
        await work.note(ledger.project_key, action, story_path(ledger.project_key, row.key), changes)
    return Outcome((await _outs(work, ledger, [row]))[0], changes)


async def _outs(work: Work, place: Place | Ledger, rows: Sequence[StoryRow]) -> list[StoryOut]:
    query = (
        select(col(StoryWorkRow.story), col(ServiceRow.key), col(StoryWorkRow.commit))
        .join(ServiceRow, col(ServiceRow.id) == col(StoryWorkRow.service_id))
        .where(col(ServiceRow.project_id) == place.project_id, col(StoryWorkRow.story).in_([row.key for row in rows]))
        .order_by(col(ServiceRow.key))
    )
    found: dict[str, list[StoryWorkOut]] = {}
    for story, service, commit in await work.session.execute(query):
        found.setdefault(story, []).append(StoryWorkOut(service=service, commit=commit))
    return [StoryOut(**row.model_dump(exclude={"project_id"}), work=found.get(row.key, [])) for row in rows]
