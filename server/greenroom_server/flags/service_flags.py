"""The verbs on flags: what a flag is in all environments alike."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete
from sqlmodel import col

from greenroom_server.errors import Conflict, FieldError, Invalid
from greenroom_server.flags.checks import check_configuration_of, checked_variants
from greenroom_server.flags.documents import authored_flag, configured, flag_facts
from greenroom_server.flags.edits import apply_flag, new_flag, set_archived
from greenroom_server.flags.patching import patched
from greenroom_server.flags.service_gate import look
from greenroom_server.flags.service_listing import flag_out
from greenroom_server.flags.service_publish import publish
from greenroom_server.flags.service_references import check_flag_references
from greenroom_server.flags.service_scope import (
    bury_key,
    configurations_of,
    environments_of,
    get_flag,
    get_project,
    require_free_key,
)
from greenroom_server.flags.service_uses import require_unused_flag
from greenroom_server.flags.standing import dark_configuration, derive
from greenroom_server.flags.tables import ConfigurationRow, EnvironmentRow, FlagRow, ProjectRow
from greenroom_server.flags.wire import FlagIn, FlagOut
from greenroom_server.flags.work import Changes, Outcome, Verdict, Work, differences, plain, require_environments
from greenroom_server.web.codec import write_json

Served = list[tuple[EnvironmentRow, ConfigurationRow]]


async def create_flag(work: Work, project_key: str, wanted: FlagIn) -> Outcome[FlagOut]:
    """A new flag, dark in every environment."""
    project = await get_project(work.session, project_key, lock=True)
    variants = checked_variants(wanted)
    await require_free_key(work.session, FlagRow, project, wanted.key)
    flag = new_flag(project.id, wanted, variants, work.now)
    work.session.add(flag)
    await work.session.flush()
    environments = await environments_of(work.session, project)
    rows = [dark_configuration(flag, environment, work.now) for environment in environments]
    work.session.add_all(rows)
    await publish(work, environments, flags={flag.key: rows})
    return await _noted(work, project, flag, "flag.create", differences(None, plain(authored_flag(flag))))


async def update_flag(work: Work, project_key: str, key: str, patch: Any) -> Outcome[FlagOut]:
    """Change what the flag is. Its key and type stay: applications ask for them."""
    project = await get_project(work.session, project_key, lock=True)
    flag = await get_flag(work.session, project, key)
    work.check_version(flag.version)
    wanted = patched(FlagIn, plain(authored_flag(flag)), patch)
    if flag.archived_at is not None:
        raise Conflict(f"flag `{flag.key}` is archived: restore it first", code="archived")
    variants = checked_variants(wanted, flag.type)
    seen = await look(work, project, flag=key)
    before = served_of(flag)
    changes = apply_flag(flag, wanted, variants, work.now)
    if served_of(flag) != before:
        served = await _served(work, project, flag)
        why = "this changes what is served in"
        require_environments(work, changed_environments(served, before["variants"], flag), why)
        check_configurations(work, flag, served)
        await publish(work, [environment for environment, _ in served], flags=_rows(flag, served))
        if before["variants"].keys() - flag.variants.keys():
            await check_flag_references(work, project, flag, served)
    return await _noted(work, project, flag, "flag.update", changes, await seen.settle())


async def archive_flag(work: Work, project_key: str, key: str) -> Outcome[FlagOut]:
    """Take the flag out of every snapshot: applications get their default. Archiving twice changes nothing."""
    project = await get_project(work.session, project_key, lock=True)
    flag = await get_flag(work.session, project, key)
    work.check_version_if_named(flag.version)
    seen = await look(work, project, flag=key)
    changes = set_archived(flag, True, work.now)
    if changes:
        await require_unused_flag(work, project, key)
        served = await _served(work, project, flag)
        require_environments(work, _enabled(served), "this ends what is served in")
        await publish(work, [environment for environment, _ in served], flags=_rows(flag, served), may_grow=False)
    return await _noted(work, project, flag, "flag.archive", changes, await seen.settle())


async def restore_flag(work: Work, project_key: str, key: str) -> Outcome[FlagOut]:
    """Bring an archived flag back, configured as it was."""
    project = await get_project(work.session, project_key, lock=True)
    flag = await get_flag(work.session, project, key)
    work.check_version_if_named(flag.version)
    seen = await look(work, project, flag=key)
    changes = set_archived(flag, False, work.now)
    if changes:
        served = await _served(work, project, flag)
        require_environments(work, _enabled(served), "this starts serving in")
        await publish(work, [environment for environment, _ in served], flags=_rows(flag, served))
        await check_flag_references(work, project, flag, served)
    return await _noted(work, project, flag, "flag.restore", changes, await seen.settle())


async def delete_flag(work: Work, project_key: str, key: str) -> Outcome[None]:
    """Delete an archived flag for good; its key is buried. Raises `Conflict` while it is not archived, or while an
    archived flag has it as a prerequisite and so could never be restored.
    """
    project = await get_project(work.session, project_key, lock=True)
    flag = await get_flag(work.session, project, key)
    work.check_version(flag.version)
    if flag.archived_at is None:
        raise Conflict(f"archive flag `{key}` before deleting it", code="not_archived")
    await require_unused_flag(work, project, key, by_archived=True)
    changes = differences(flag_facts(flag), None)
    bury_key(work, FlagRow, project, key)
    await work.session.flush()
    await work.session.execute(delete(FlagRow).where(col(FlagRow.id) == flag.id))
    await work.note(project_key, "flag.delete", flag_path(project_key, key), changes)
    return Outcome(None, changes)


def flag_path(project_key: str, key: str) -> str:
    return f"/api/v1/projects/{project_key}/flags/{key}"


def served_of(flag: FlagRow) -> dict[str, Any]:
    """The part of a flag that snapshots have."""
    return {
        "variants": flag.variants,
        "text": write_json(flag.variants),  # tells 1 from 1.0 and from true, and one order from another
        "client_visible": flag.client_visible,
        "track_exposures": flag.track_exposures,
    }


def changed_environments(served: Served, variants_before: Mapping[str, Any], flag: FlagRow) -> list[EnvironmentRow]:
    """Where people get something else: where the flag is on, and where it is off and the dark value is another one."""
    changed = []
    for environment, row in served:
        dark = [variants.get(row.off_variant) for variants in (variants_before, flag.variants)]
        if row.enabled or write_json(dark[0]) != write_json(dark[1]):
            changed.append(environment)
    return changed


def check_configurations(work: Work, flag: FlagRow, served: Served) -> None:
    """Raises `Invalid` if a configuration does not fit what the flag is now; brings up to date what is derived."""
    for environment, row in served:
        try:
            check_configuration_of(configured(row), flag.type, flag.variants)
        except Invalid as error:
            where = f"`{environment.key}`" if work.principal.sees_environment(environment.key) else "an environment"
            told = [f"the configuration in {where} does not fit: {wrong.detail}" for wrong in error.errors]
            raise Invalid(errors=[FieldError("/variants", detail) for detail in told]) from None
        derive(flag, row)


def _rows(flag: FlagRow, served: Served) -> dict[str, list[ConfigurationRow]]:
    return {flag.key: [row for _, row in served]}


def _enabled(served: Served) -> Iterable[EnvironmentRow]:
    return (environment for environment, row in served if row.enabled)


async def _served(work: Work, project: ProjectRow, flag: FlagRow) -> Served:
    rows = {row.environment_id: row for row in await configurations_of(work.session, [flag.id])}
    return [(environment, rows[environment.id]) for environment in await environments_of(work.session, project)]


async def _noted(
    work: Work,
    project: ProjectRow,
    flag: FlagRow,
    action: str,
    changes: Changes,
    verdicts: Sequence[Verdict] = (),
) -> Outcome[FlagOut]:
    if changes:
        await work.session.flush()
        await work.note(project.key, action, flag_path(project.key, flag.key), changes)
    return Outcome(await flag_out(work, project, flag), changes, verdicts)
