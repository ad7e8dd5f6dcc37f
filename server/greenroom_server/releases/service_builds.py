"""The verbs on builds: register one, declare more digests for it, read them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlmodel import col

from greenroom_server.errors import Conflict, FieldError, Invalid, LimitExceeded, NotFound
from greenroom_server.flags.work import Changes, Outcome, Work, plain
from greenroom_server.releases.service_scope import Place, get_service, new_id, open_ledger, place_of
from greenroom_server.releases.service_services import service_path
from greenroom_server.releases.service_stories import ensure_stories, note_work
from greenroom_server.releases.tables import BuildCommitRow, BuildDigestRow, BuildRow, ServiceRow
from greenroom_server.releases.wire_builds import (
    MAX_DIGESTS,
    BuildIn,
    CommitIn,
    CommitOut,
    DigestIn,
    DigestOut,
    RegisteredBuildOut,
)

_COMPARED: Final = ("commit", "branch", "parent", "stories", "triggered_by", "url")


async def register_build(
    work: Work, project_key: str, service_key: str, wanted: BuildIn
) -> Outcome[RegisteredBuildOut]:
    """Register what was built. The same again changes nothing.

    Raises `Conflict` naming the member that differs if one of the digests stands for another build.
    """
    commits = _with_own_commit(wanted)
    ledger = await open_ledger(work, project_key)
    service = await get_service(work, ledger, service_key)
    known = await _builds_of(work, service, wanted.digests)
    if known:
        return Outcome(await _same_or_conflict(work, service, known, wanted, commits), [])
    row = BuildRow(
        id=new_id(work.now),
        service_id=service.id,
        **wanted.model_dump(include=set(_COMPARED)),
        parent_id=await _find_parent(work, service, wanted),
        seq=ledger.next(),
        registered_at=work.now,
        actor=work.principal.actor,
    )
    work.session.add(row)
    await work.session.flush()
    work.session.add_all(_digest_row(work, row, DigestIn(digest=digest)) for digest in wanted.digests)
    work.session.add_all(
        BuildCommitRow(build_id=row.id, position=index, commit=one.id, authors=one.authors, stories=one.stories)
        for index, one in enumerate(commits)
    )
    await work.session.flush()
    has_heirs = await _adopt(work, service, row, wanted.digests)
    newest = {story: one.id for one in commits for story in one.stories}
    await ensure_stories(work, ledger, newest)
    await note_work(work, service.id, row.seq, newest, is_newest=not has_heirs)
    changes: Changes = [{"path": "", "op": "add", "to": plain(wanted)}]
    if work.principal.kind != "pipeline":
        path = f"{service_path(project_key, service_key)}/builds/{wanted.digests[0]}"
        await work.note(project_key, "build.register", path, changes)
    return Outcome((await _outs(work, service, [row]))[0], changes)


async def declare_digest(
    work: Work, project_key: str, service_key: str, digest: str, wanted: DigestIn
) -> Outcome[RegisteredBuildOut]:
    """Say that another digest stands for the same build: a promoted copy, another platform. The same again is fine."""
    ledger = await open_ledger(work, project_key)
    service = await get_service(work, ledger, service_key)
    row = await _get_build(work, service, digest)
    if wanted.same_as is not None and await _build_id_of(work, service, wanted.same_as) != row.id:
        raise Invalid(errors=[FieldError("/same_as", f"`{wanted.same_as}` is no digest of this build")])
    owner = await _build_id_of(work, service, wanted.digest)
    if owner is not None:
        if owner != row.id:
            raise Conflict(f"`{wanted.digest}` stands for another build already", code="digest_taken")
        return Outcome((await _outs(work, service, [row]))[0], [])
    count = select(col(BuildDigestRow.digest)).where(col(BuildDigestRow.build_id) == row.id)
    if len(list(await work.session.scalars(count))) >= MAX_DIGESTS:
        raise LimitExceeded("digests_per_build", MAX_DIGESTS, field="/digest")
    added = _digest_row(work, row, wanted)
    added.seq, added.same_as = ledger.next(), wanted.same_as or digest
    work.session.add(added)
    await work.session.flush()
    await _adopt(work, service, row, [wanted.digest])
    changes: Changes = [{"path": "/digests/-", "op": "add", "to": plain(wanted)}]
    if work.principal.kind != "pipeline":
        await work.note(
            project_key, "build.declare", f"{service_path(project_key, service_key)}/builds/{digest}", changes
        )
    return Outcome((await _outs(work, service, [row]))[0], changes)


async def page_builds(
    work: Work, project_key: str, service_key: str, commit: str | None, *, before: int | None, limit: int
) -> list[RegisteredBuildOut]:
    """Builds, newest first; those of a commit may be several."""
    service = await get_service(work, await place_of(work, project_key), service_key)
    query = select(BuildRow).where(col(BuildRow.service_id) == service.id).order_by(col(BuildRow.seq).desc())
    if commit is not None:
        query = query.where(col(BuildRow.commit) == commit)
    if before is not None:
        query = query.where(col(BuildRow.seq) < before)
    return await _outs(work, service, list(await work.session.scalars(query.limit(limit))))


async def read_build(work: Work, project_key: str, service_key: str, digest: str) -> RegisteredBuildOut:
    service = await get_service(work, await place_of(work, project_key), service_key)
    return (await _outs(work, service, [await _get_build(work, service, digest)]))[0]


async def digests_beside(work: Work, place: Place, service_key: str, digest: str) -> frozenset[str]:
    """All digests of the build that has this one, and this one, whether anybody knows it or not."""
    service = await get_service(work, place, service_key)
    build_id = await _build_id_of(work, service, digest)
    if build_id is None:
        return frozenset({digest})
    found = select(col(BuildDigestRow.digest)).where(col(BuildDigestRow.build_id) == build_id)
    return frozenset(await work.session.scalars(found))


def _with_own_commit(wanted: BuildIn) -> list[CommitIn]:
    """The commits, its own among them, which works on the build's stories: so those who grow from it have them too."""
    ids = [one.id for one in wanted.commits]
    twice = (
        next((index for index, one in enumerate(ids) if one in ids[:index]), None) if len(set(ids)) < len(ids) else None
    )
    if twice is not None:
        raise Invalid(errors=[FieldError(f"/commits/{twice}/id", f"`{ids[twice]}` is there twice")])
    commits = wanted.commits if wanted.commit in ids else [*wanted.commits, CommitIn(id=wanted.commit)]
    return [
        CommitIn(id=one.id, authors=one.authors, stories=list(dict.fromkeys([*one.stories, *wanted.stories])))
        if one.id == wanted.commit
        else one
        for one in commits
    ]


async def _builds_of(work: Work, service: ServiceRow, digests: Sequence[str]) -> dict[str, UUID]:
    query = select(col(BuildDigestRow.digest), col(BuildDigestRow.build_id)).where(
        col(BuildDigestRow.service_id) == service.id, col(BuildDigestRow.digest).in_(digests)
    )
    return {row.digest: row.build_id for row in await work.session.execute(query)}


async def _build_id_of(work: Work, service: ServiceRow, digest: str) -> UUID | None:
    return (await _builds_of(work, service, [digest])).get(digest)


async def _get_build(work: Work, service: ServiceRow, digest: str) -> BuildRow:
    build_id = await _build_id_of(work, service, digest)
    row = None if build_id is None else await work.session.get(BuildRow, build_id)
    if row is None:
        raise NotFound(f"there is no build `{digest}` of service `{service.key}`")
    return row


async def _same_or_conflict(
    work: Work, service: ServiceRow, known: dict[str, UUID], wanted: BuildIn, commits: list[CommitIn]
) -> RegisteredBuildOut:
    digest, build_id = next(iter(known.items()))
    row = await work.session.get_one(BuildRow, build_id)
    (out,) = await _outs(work, service, [row])
    differing = [name for name in _COMPARED if getattr(row, name) != getattr(wanted, name)]
    if set(known.values()) != {build_id} or not set(wanted.digests) <= {one.digest for one in out.digests}:
        differing.insert(0, "digests")
    if [one.model_dump() for one in out.commits] != [one.model_dump() for one in commits]:
        differing.append("commits")
    if differing:
        names = ", ".join(f"`{name}`" for name in differing)
        raise Conflict(f"the build `{digest}` is registered already, with another {names}", code="build_differs")
    return out


async def _find_parent(work: Work, service: ServiceRow, wanted: BuildIn) -> UUID | None:
    """The build that `parent` names. Of several builds of one commit the last one: they contain the same."""
    if wanted.parent is None:
        return None
    if wanted.parent in (wanted.commit, *wanted.digests):
        raise Invalid(errors=[FieldError("/parent", "a build does not grow from itself")])
    if wanted.parent.startswith("sha256:"):
        return await _build_id_of(work, service, wanted.parent)
    query = (
        select(col(BuildRow.id))
        .where(col(BuildRow.service_id) == service.id, col(BuildRow.commit) == wanted.parent)
        .order_by(col(BuildRow.seq).desc())
        .limit(1)
    )
    return (await work.session.scalars(query)).one_or_none()


async def _adopt(work: Work, service: ServiceRow, row: BuildRow, digests: Sequence[str]) -> bool:
    """Become the parent of the builds that wait for this one; whether there were any."""
    orphans = (
        update(BuildRow)
        .where(
            col(BuildRow.service_id) == service.id,
            col(BuildRow.parent_id).is_(None),
            col(BuildRow.id).not_in([row.id] if row.parent_id is None else [row.id, row.parent_id]),
            or_(col(BuildRow.parent) == row.commit, col(BuildRow.parent).in_(digests)),
        )
        .values(parent_id=row.id)
        .returning(col(BuildRow.id))
    )
    return bool(list(await work.session.scalars(orphans)))


def _digest_row(work: Work, row: BuildRow, wanted: DigestIn) -> BuildDigestRow:
    return BuildDigestRow(
        service_id=row.service_id,
        build_id=row.id,
        **wanted.model_dump(),
        seq=row.seq,
        declared_at=work.now,
        actor=work.principal.actor,
    )


async def _outs(work: Work, service: ServiceRow, rows: Sequence[BuildRow]) -> list[RegisteredBuildOut]:
    ids = [row.id for row in rows]
    digests = await _by_build(
        work,
        select(BuildDigestRow)
        .where(col(BuildDigestRow.build_id).in_(ids))
        .order_by(col(BuildDigestRow.seq), col(BuildDigestRow.digest)),
    )
    commits = await _by_build(
        work, select(BuildCommitRow).where(col(BuildCommitRow.build_id).in_(ids)).order_by(col(BuildCommitRow.position))
    )
    return [
        RegisteredBuildOut(
            **row.model_dump(exclude={"id", "service_id", "parent_id"}),
            id=str(row.id),
            service=service.key,
            is_rooted=row.parent is None or row.parent_id is not None,
            digests=[
                DigestOut.model_validate(one.model_dump(include=set(DigestOut.model_fields))) for one in digests[row.id]
            ],
            commits=[CommitOut(id=one.commit, authors=one.authors, stories=one.stories) for one in commits[row.id]],
        )
        for row in rows
    ]


async def _by_build(work: Work, query: Any) -> dict[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = defaultdict(list)
    for row in await work.session.scalars(query):
        found[row.build_id].append(row)
    return found
