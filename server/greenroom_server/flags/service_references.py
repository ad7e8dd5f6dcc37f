"""Who names whom: flags name segments and prerequisite flags, segments name segments.

Documents are stored as the compact JSON that `write_json` makes, so a key that is named can be searched for as text
before anything is read.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Text, cast, func, select
from sqlmodel import col

from greenroom.evaluation import Finding, check_references
from greenroom_server.flags.checks import refuse
from greenroom_server.flags.conditions import segments_in, segments_in_rules
from greenroom_server.flags.place import Configuration, Environment, Flag, Project
from greenroom_server.flags.service_scope import Stock, column
from greenroom_server.flags.tables import ConfigurationRow, EnvironmentRow, FlagRow, ProjectRow, SegmentRow
from greenroom_server.flags.work import Work


async def check_flag_references(
    work: Work,
    project: Project,
    flag: Flag,
    served: Sequence[tuple[Environment, Configuration]],
    *,
    own: str | None = None,
) -> None:
    """Raises `Invalid` if what the flag names is not there, if it now closes a circle or a too long chain, or if
    another flag needs a variant that it no longer has.

    Pointers that begin with `own` are told relative to it, others in words.
    """
    naming = await _naming_flags(work, project)
    for environment, row in served:
        named: dict[str, dict[str, Any]] = {
            key: {"prerequisites": found} for key, found in naming.get(environment.id, {}).items()
        }
        named[flag.key] = {"prerequisites": row.prerequisites, "rules": row.rules}
        await _check(work, project, named, environment, own)


async def check_segment_references(work: Work, project: ProjectRow, segment: SegmentRow) -> None:
    """Raises `Invalid` if segments name what is not there, or each other in a circle or a too long chain."""
    if not list(segments_in(segment.when)):
        return
    of_project = col(SegmentRow.project_id) == project.id
    keys = await work.session.scalars(select(col(SegmentRow.key)).where(of_project))
    documents: dict[str, Any] = {key: {} for key in keys}
    naming = select(col(SegmentRow.key), col(SegmentRow.when)).where(
        of_project, _mentions(SegmentRow.when, '"segment":')
    )
    documents |= {key: {"when": when} for key, when in (await work.session.execute(naming))}
    _refuse(work, check_references({}, documents), None, f"/segments/{segment.key}")


def check_stock_references(work: Work, stock: Stock) -> None:
    """Raises `Invalid` if anything in the project names what is not there, or goes in circles."""
    segments = {key: {"when": row.when} for key, row in stock.segments.items()}
    served = [flag for flag in stock.flags.values() if flag.archived_at is None]
    for environment in stock.environments:
        documents = {}
        for flag in served:
            row = stock.configuration(flag, environment)
            documents[flag.key] = {"variants": flag.variants, "prerequisites": row.prerequisites, "rules": row.rules}
        _refuse(work, check_references(documents, segments), environment, None)


async def uses_of_segment(
    work: Work, project: Project, key: str
) -> list[tuple[FlagRow, EnvironmentRow, ConfigurationRow]]:
    """The configurations that name the segment themselves, archived flags' too; first stage first."""
    return await _configurations(work, project, "rules", f'"segment":"{key}"')


async def uses_of_flag(
    work: Work, project: Project, key: str
) -> list[tuple[FlagRow, EnvironmentRow, ConfigurationRow]]:
    """The configurations that have the flag as a prerequisite, archived flags' too; first stage first."""
    found = await _configurations(work, project, "prerequisites", f'"flag":"{key}"')
    return [use for use in found if any(one["flag"] == key for one in use[2].prerequisites)]


async def lit_uses_of_segment(work: Work, project: Project, key: str) -> list[tuple[EnvironmentRow, FlagRow]]:
    """Where a flag that is on uses the segment, directly or through another segment."""
    uses: dict[tuple[str, str], tuple[EnvironmentRow, FlagRow]] = {}
    pending, seen = [key], {key}
    while pending:
        current = pending.pop()
        for flag, environment, row in await uses_of_segment(work, project, current):
            if row.enabled and flag.archived_at is None:
                uses[environment.key, flag.key] = environment, flag
        for other in await segments_naming(work, project, current):
            if other.key not in seen:
                seen.add(other.key)
                pending.append(other.key)
    return list(uses.values())


async def segments_naming(work: Work, project: Project, key: str) -> list[SegmentRow]:
    """The segments that name the segment themselves."""
    query = select(SegmentRow).where(
        col(SegmentRow.project_id) == project.id, _mentions(SegmentRow.when, f'"segment":"{key}"')
    )
    rows = await work.session.scalars(query.order_by(col(SegmentRow.key)))
    return [row for row in rows if any(name == key for name, _ in segments_in(row.when))]


async def _check(
    work: Work, project: Project, documents: dict[str, dict[str, Any]], environment: Environment, own: str | None
) -> None:
    named = {one["flag"] for document in documents.values() for one in document["prerequisites"]} | documents.keys()
    query = select(col(FlagRow.key), col(FlagRow.variants)).where(
        col(FlagRow.project_id) == project.id, col(FlagRow.key).in_(named), col(FlagRow.archived_at).is_(None)
    )
    known: dict[str, Any] = dict((await work.session.execute(query)).all())
    flags = {key: {**documents.get(key, {}), "variants": variants} for key, variants in known.items()}
    names = {key for document in documents.values() for key in segments_in_rules(document.get("rules", ()))}
    segments: dict[str, dict[str, Any]] = {}
    if names:
        there = select(col(SegmentRow.key)).where(
            col(SegmentRow.project_id) == project.id, col(SegmentRow.key).in_(names)
        )
        segments = {key: {} for key in await work.session.scalars(there)}
    _refuse(work, check_references(flags, segments), environment, own)


async def _naming_flags(work: Work, project: Project) -> dict[Any, dict[str, list[dict[str, Any]]]]:
    """The prerequisites of all flags that have any, by environment and flag."""
    query = (
        select(col(ConfigurationRow.environment_id), col(FlagRow.key), col(ConfigurationRow.prerequisites))
        .join(FlagRow, col(FlagRow.id) == col(ConfigurationRow.flag_id))
        .where(
            col(FlagRow.project_id) == project.id,
            col(FlagRow.archived_at).is_(None),
            cast(col(ConfigurationRow.prerequisites), Text) != "[]",
        )
    )
    found: dict[Any, dict[str, list[dict[str, Any]]]] = {}
    for environment_id, key, prerequisites in await work.session.execute(query):
        found.setdefault(environment_id, {})[key] = prerequisites
    return found


async def _configurations(
    work: Work, project: Project, name: str, text: str
) -> list[tuple[FlagRow, EnvironmentRow, ConfigurationRow]]:
    query = (
        select(FlagRow, EnvironmentRow, ConfigurationRow)
        .join(ConfigurationRow, col(ConfigurationRow.flag_id) == col(FlagRow.id))
        .join(EnvironmentRow, col(EnvironmentRow.id) == col(ConfigurationRow.environment_id))
        .where(col(FlagRow.project_id) == project.id, _mentions(column(ConfigurationRow, name), text))
        .order_by(col(EnvironmentRow.position), col(FlagRow.key))
    )
    return list(await work.session.execute(query))


def _mentions(document: Any, text: str) -> Any:
    return func.strpos(cast(document, Text), text) > 0


def _refuse(work: Work, findings: Iterable[Finding], environment: Environment | None, own: str | None) -> None:
    """Raise what was found; pointers into `own`, the thing that is being changed, are relative to it."""
    where = ""
    if environment is not None:
        seen = work.principal.sees_environment(environment.key)
        where = f" (in environment `{environment.key}`)" if seen else " (in another environment)"
    told = []
    for finding in findings:
        pointer, detail = finding.pointer, finding.detail + where
        if own is not None and (pointer == own or pointer.startswith(f"{own}/")):
            pointer = pointer[len(own) :]
        else:
            noun, key = pointer.split("/")[1:3]
            pointer, detail = "", f"{noun.removesuffix('s')} `{key}`: {detail}"
        told.append(Finding(pointer, detail, finding.limit, finding.maximum))
    refuse(told, "")
