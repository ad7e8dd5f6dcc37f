"""The verbs on releases and their plans."""

from typing import Any, Final
from uuid import uuid4

from sqlalchemy import delete, func, select
from sqlmodel import col

from greenroom_server.errors import Conflict, FieldError, Invalid, LimitExceeded, NotFound
from greenroom_server.flags.patching import patched
from greenroom_server.flags.service_place import get_place
from greenroom_server.flags.service_scope import get_project
from greenroom_server.flags.work import Outcome, Work, differences, plain
from greenroom_server.releases.service_scope import environment_keys
from greenroom_server.rollouts.listening import Listener
from greenroom_server.rollouts.plan import ALIVE, NOTHING_HEARD, Heard, Wait, waits_of
from greenroom_server.rollouts.reading import plan_of, stored, taken_steps_changed
from greenroom_server.rollouts.schedule import instant_of, moment_at
from greenroom_server.rollouts.service_scope import (
    Release,
    on_store_time,
    open_release,
    release_path,
    require_business,
    require_state,
    write_release,
)
from greenroom_server.rollouts.service_serving import conflicts_of
from greenroom_server.rollouts.tables import ReleaseMoveRow, ReleaseRow
from greenroom_server.rollouts.wire import (
    ReleaseApproval,
    ReleaseIn,
    ReleaseMove,
    ReleaseOut,
    ReleaseSummary,
    ReleaseWait,
    document_of,
)

MAX_RELEASES: Final = 1_000


async def page_releases(
    work: Work, project_key: str, *, state: str | None, environment: str | None, after: str | None, limit: int
) -> list[ReleaseSummary]:
    """Releases in environments that the caller sees, in the order of their keys."""
    project = await get_project(work.session, project_key)
    query = select(ReleaseRow).where(col(ReleaseRow.project_id) == project.id)
    for column, value in ((col(ReleaseRow.state), state), (col(ReleaseRow.environment), environment)):
        if value is not None:
            query = query.where(column == value)
    if work.principal.environments is not None:
        query = query.where(col(ReleaseRow.environment).in_(sorted(work.principal.environments)))
    if after is not None:
        query = query.where(col(ReleaseRow.key) > after)
    return [_summary(row) for row in await work.session.scalars(query.order_by(col(ReleaseRow.key)).limit(limit))]


async def read_release(work: Work, project_key: str, key: str, listener: Listener) -> ReleaseOut:
    """With what it waits for, guardrails among it."""
    work = await on_store_time(work)
    release = await open_release(work, project_key, key)
    return await release_out(work, release, await listener.hear(work.session, release, work.now))


async def list_moves(work: Work, project_key: str, key: str) -> list[ReleaseMove]:
    """Every change of what the release served, oldest first."""
    release = await open_release(work, project_key, key)
    query = select(ReleaseMoveRow).where(col(ReleaseMoveRow.release_id) == release.row.id)
    rows = await work.session.scalars(query.order_by(col(ReleaseMoveRow.version)))
    return [ReleaseMove.model_validate(row.model_dump(exclude={"release_id"})) for row in rows]


async def create_release(work: Work, project_key: str, wanted: ReleaseIn) -> Outcome[ReleaseOut]:
    """A new release, which nothing starts yet. Raises `Conflict` for a flag that another release has there."""
    work = await on_store_time(work)
    project = await get_project(work.session, project_key, lock=True)
    known = select(func.count()).where(col(ReleaseRow.project_id) == project.id)
    taken = known.where(col(ReleaseRow.key) == wanted.key)
    if (await work.session.execute(taken)).scalar_one():
        raise Conflict(f"there is a release `{wanted.key}` already", code="key_taken")
    if (await work.session.execute(known)).scalar_one() >= MAX_RELEASES:
        raise LimitExceeded("releases_per_project", MAX_RELEASES)
    wanted = await _resolved(work, project_key, wanted)
    row = ReleaseRow(
        id=uuid4(),
        project_id=project.id,
        project=project_key,
        key=wanted.key,
        state="draft",
        created_at=work.now,
        updated_at=work.now,
        **await _columns(work, project_key, wanted, None),
    )
    work.session.add(row)
    await work.session.flush()
    changes = differences(None, plain(wanted))
    await work.note(project_key, "release.create", release_path(project_key, row.key), changes)
    return Outcome(await release_out(work, await open_release(work, project_key, row.key)), changes)


async def update_release(work: Work, project_key: str, key: str, patch: Any) -> Outcome[ReleaseOut]:
    """Change the plan; approvals of the plan before count no more. Steps that were taken stay as they are."""
    work = await on_store_time(work)
    release = await open_release(work, project_key, key, lock=True)
    work.check_version(release.row.version)
    require_state(release, "edit")
    if release.at.state != "draft":
        await require_business(work, project_key, release.row.environment)
    before = stored(release.row.document, release.row)
    wanted = await _resolved(work, project_key, patched(ReleaseIn, plain(before), patch))
    errors = taken_steps_changed(before, wanted, release.at.step)
    if errors:
        raise Invalid(errors=errors, code="step_taken")
    changes = differences(plain(before), plain(wanted))
    if changes:
        if release.at.state != "draft":
            await require_business(work, project_key, wanted.environment)
        await write_release(work, release, await _columns(work, project_key, wanted, release.row))
        await work.note(project_key, "release.update", release.path, changes)
    return Outcome(await release_out(work, await open_release(work, project_key, key)), changes)


async def delete_release(work: Work, project_key: str, key: str) -> Outcome[None]:
    """Forget a release that is not going on. What it served stays."""
    release = await open_release(work, project_key, key, lock=True)
    work.check_version(release.row.version)
    require_state(release, "delete")
    changes = differences(plain(stored(release.row.document, release.row)), None)
    await work.session.execute(delete(ReleaseRow).where(col(ReleaseRow.id) == release.row.id))
    await work.note(project_key, "release.delete", release.path, changes)
    return Outcome(None, changes)


async def release_out(work: Work, release: Release, heard: Heard = NOTHING_HEARD) -> ReleaseOut:
    row, at = release.row, release.at
    waits = waits_of(release.plan, at, instant_of(work.now) or 0, heard) if at.state in ALIVE else ()
    shown = ("digest", "author", "starter", "state", "step", "since", "due_at", "schedule", "is_dark", "hold")
    moments = ("version", "created_at", "updated_at")
    return ReleaseOut.model_validate(
        {
            **plain(stored(row.document, row)),
            **{name: getattr(row, name) for name in (*shown, *moments)},
            "waits": [_wait(one) for one in waits],
            "approvals": _approvals(release),
            "conflicts": await conflicts_of(work, release) if at.state in ALIVE else [],
        },
        strict=False,
    )


async def _resolved(work: Work, project_key: str, wanted: ReleaseIn) -> ReleaseIn:
    """The same with each flag's variant named. Raises `Invalid` for what is not there."""
    if wanted.environment not in await environment_keys(work, project_key):
        raise Invalid(errors=[FieldError("/environment", f"there is no environment `{wanted.environment}`")])
    flags, errors = [], []
    for index, one in enumerate(wanted.flags):
        try:
            place = await get_place(work.session, (project_key, wanted.environment, one.flag))
        except NotFound as error:
            errors.append(FieldError(f"/flags/{index}/flag", error.detail))
            continue
        dark = place.configuration.off_variant
        variant = one.variant or next((name for name in place.flag.variants if name != dark), dark)
        if place.flag.archived_at is not None:
            errors.append(FieldError(f"/flags/{index}/flag", f"flag `{one.flag}` is archived"))
        elif variant not in place.flag.variants:
            errors.append(FieldError(f"/flags/{index}/variant", f"flag `{one.flag}` has no variant `{variant}`"))
        elif variant == dark:
            errors.append(FieldError(f"/flags/{index}/variant", f"`{variant}` is the dark variant of `{one.flag}`"))
        flags.append(one.model_copy(update={"variant": variant}))
    if errors:
        raise Invalid(errors=errors)
    return wanted.model_copy(update={"flags": flags})


async def _columns(work: Work, project_key: str, wanted: ReleaseIn, row: ReleaseRow | None) -> dict[str, Any]:
    """The columns that an author writes. Raises `Invalid` for a plan that cannot be followed."""
    plan, keys = plan_of(wanted), [one.flag for one in wanted.flags]
    await _require_flags_free(work, project_key, wanted, row)
    has_moved = row is None or row.digest != plan.digest
    return {
        **wanted.model_dump(include={"name", "description", "environment"}),
        "flags": keys,
        "document": document_of(wanted),
        "digest": plan.digest,
        "author": work.principal.person or work.principal.actor if has_moved or row is None else row.author,
    }


async def _require_flags_free(work: Work, project_key: str, wanted: ReleaseIn, row: ReleaseRow | None) -> None:
    query = select(ReleaseRow).where(
        col(ReleaseRow.project) == project_key,
        col(ReleaseRow.environment) == wanted.environment,
        col(ReleaseRow.state).in_(ALIVE),
        col(ReleaseRow.flags).overlap([one.flag for one in wanted.flags]),  # type: ignore[attr-defined]
    )
    if row is not None:
        query = query.where(col(ReleaseRow.id) != row.id)
    for other in await work.session.scalars(query.order_by(col(ReleaseRow.key))):
        both = ", ".join(f"`{one.flag}`" for one in wanted.flags if one.flag in other.flags)
        detail = f"the release `{other.key}` has {both} in `{wanted.environment}`: one release at a time serves a flag"
        raise Conflict(detail, code="flag_in_release")


def _summary(row: ReleaseRow) -> ReleaseSummary:
    shown = ("key", "name", "environment", "flags", "state", "step", "since", "due_at", "version", "updated_at")
    held = row.hold["reason"] if row.hold is not None and row.state == "held" else None
    return ReleaseSummary.model_validate(
        {
            **{name: getattr(row, name) for name in shown},
            "steps": len(row.document["steps"]),
            "held_because": held,
        }
    )


def _wait(wait: Wait) -> ReleaseWait:
    return ReleaseWait(
        what=wait.what,
        until=None if wait.until is None else moment_at(wait.until),
        role=wait.role,
        have=wait.have,
        need=wait.need,
        guardrails=list(wait.guardrails),
    )


def _approvals(release: Release) -> list[ReleaseApproval]:
    now = (release.at.step, release.plan.digest)
    shown = ("step", "person", "roles", "reason", "at")
    return [
        ReleaseApproval.model_validate(
            {**{name: getattr(one, name) for name in shown}, "counts": (one.step, one.digest) == now}
        )
        for one in release.approvals
    ]
