"""Makes a project what a document says; what the document does not name stays. All is done or nothing.

The whole project is read, changed in memory, checked as a whole and written together, so the order of things in the
document does not matter and thousands of flags take a few statements.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from greenroom.evaluation import limits
from greenroom_server.database.engine import announce
from greenroom_server.errors import FieldError, Forbidden, Invalid, LimitExceeded, NotFound
from greenroom_server.flags import checks
from greenroom_server.flags.documents import segment_document
from greenroom_server.flags.edits import (
    apply_configuration,
    apply_environment,
    apply_flag,
    apply_project,
    apply_segment,
    new_environment,
    new_flag,
    new_project,
    new_segment,
    set_archived,
)
from greenroom_server.flags.service_export import document_of
from greenroom_server.flags.service_flags import check_configurations, served_of
from greenroom_server.flags.service_gate import Look, look
from greenroom_server.flags.service_projects import MAX_ENVIRONMENTS, project_path
from greenroom_server.flags.service_publish import publish_one
from greenroom_server.flags.service_references import check_stock_references
from greenroom_server.flags.service_scope import (
    Stock,
    buried,
    buried_among,
    get_project,
    require_free_key,
    stock_of,
)
from greenroom_server.flags.standing import dark_configuration
from greenroom_server.flags.tables import ConfigurationRow, EnvironmentRow, FlagRow, ProjectRow, SegmentRow
from greenroom_server.flags.wire import EnvironmentIn, FlagDocument, ProjectDocument, ProjectIn, SegmentIn
from greenroom_server.flags.work import Changes, Outcome, Verdict, Work, differences, plain, require_environments, under
from greenroom_server.web.codec import write_json


@dataclass(slots=True)
class _Import:
    """An import on its way: the contents as they become, what changed, and what that touches in snapshots."""

    work: Work
    stock: Stock
    changes: Changes = field(default_factory=list)
    segments: set[str] = field(default_factory=set)
    flags: dict[UUID, dict[str, list[ConfigurationRow]]] = field(default_factory=dict)
    served_before: set[str] = field(default_factory=set)
    dark: list[ConfigurationRow] = field(default_factory=list)

    def touch(self, flag: FlagRow, environments: Iterable[EnvironmentRow]) -> None:
        """An archived flag is in no snapshot, so a change of it is none there."""
        if flag.archived_at is not None and flag.key not in self.served_before:
            return
        for environment in environments:
            row = self.stock.configuration(flag, environment)
            self.flags.setdefault(environment.id, {})[flag.key] = [row]

    def note(self, path: str, changes: Changes) -> None:
        self.changes += under(path, changes)


async def import_project(work: Work, document: ProjectDocument) -> Outcome[ProjectDocument]:
    """Raises `Invalid` with pointers into the document."""
    if work.principal.environments is not None:
        raise Forbidden("an import reaches every environment, and this token is limited to some")
    work.principal.require_project_within(document.project.key)
    for noun in ("environments", "segments", "flags"):
        _refuse_repetitions(noun, [one.key for one in getattr(document, noun)])
    project, changes = await _project(work, document.project)
    seen = await look(work, project)
    stock = await stock_of(work.session, project)
    served_before = {flag.key for flag in stock.flags.values() if flag.archived_at is None}
    job = _Import(work, stock, changes, served_before=served_before)
    await _refuse_buried(job, document)
    for environment in document.environments:
        _take_environment(job, environment)
    await work.session.flush()
    for index, segment in enumerate(document.segments):
        with checks.under(f"/segments/{index}"):
            _take_segment(job, segment)
    for index, flag in enumerate(document.flags):
        with checks.under(f"/flags/{index}"):
            _take_flag(job, flag)
    verdicts = await _finish(job, seen) if job.changes else ()
    return Outcome(document_of(job.stock), job.changes, verdicts)


async def _finish(job: _Import, seen: Look) -> Sequence[Verdict]:
    work, stock = job.work, job.stock
    if len(stock.segments) > limits.MAX_SEGMENTS:
        raise LimitExceeded("segments_per_project", limits.MAX_SEGMENTS, field="/segments")
    check_stock_references(work, stock)
    await work.session.flush()  # flags before the configurations that refer to them
    work.session.add_all(job.dark)
    await work.session.flush()
    served = [one for one in stock.environments if job.segments or job.flags.get(one.id)]
    require_environments(work, served, "this import changes what is served in")
    for environment in served:
        await publish_one(work, environment, flags=job.flags.get(environment.id, {}), segment_keys=job.segments)
    if served:
        await announce(work.session)
    verdicts = await seen.settle()
    await work.note(stock.project.key, "project.import", project_path(stock.project.key), job.changes)
    return verdicts


def _refuse_repetitions(noun: str, keys: Sequence[str]) -> None:
    seen: set[str] = set()
    for index, key in enumerate(keys):
        if key in seen:
            raise Invalid(errors=[FieldError(f"/{noun}/{index}/key", f"`{key}` is there twice")])
        seen.add(key)


async def _refuse_buried(job: _Import, document: ProjectDocument) -> None:
    for row, things in (
        (EnvironmentRow, document.environments),
        (SegmentRow, document.segments),
        (FlagRow, document.flags),
    ):
        for key in await buried_among(job.work.session, row, job.stock.project, [one.key for one in things]):
            raise buried(row, key)


async def _project(work: Work, wanted: ProjectIn) -> tuple[ProjectRow, Changes]:
    try:
        row = await get_project(work.session, wanted.key, lock=True)
    except NotFound:
        await require_free_key(work.session, ProjectRow, None, wanted.key)
        row = new_project(wanted, work.now)
        work.session.add(row)
        await work.session.flush()
        return row, under("/project", differences(None, plain(wanted)))
    return row, under("/project", apply_project(row, wanted, work.now))


def _take_environment(job: _Import, wanted: EnvironmentIn) -> None:
    stock, work = job.stock, job.work
    row = next((one for one in stock.environments if one.key == wanted.key), None)
    path = f"/environments/{wanted.key}"
    if row is not None:
        job.note(path, apply_environment(row, stock.environments, wanted, work.now))
        return
    if len(stock.environments) >= MAX_ENVIRONMENTS:
        raise LimitExceeded("environments_per_project", MAX_ENVIRONMENTS, field="/environments")
    row = new_environment(stock.project.id, stock.environments, wanted, work.now)
    stock.environments.append(row)
    work.session.add(row)
    job.note(path, differences(None, plain(wanted)))
    for flag in stock.flags.values():
        _add_dark(job, flag, row)


def _take_segment(job: _Import, wanted: SegmentIn) -> None:
    stock, work = job.stock, job.work
    checks.check_condition_of(wanted.when)
    row = stock.segments.get(wanted.key)
    if row is None:
        row = stock.segments[wanted.key] = new_segment(stock.project.id, wanted, work.now)
        work.session.add(row)
        job.segments.add(row.key)
        job.note(f"/segments/{wanted.key}", differences(None, plain(wanted)))
        return
    before = write_json(segment_document(row)["when"])
    job.note(f"/segments/{wanted.key}", apply_segment(row, wanted, work.now))
    if write_json(row.when) != before:
        job.segments.add(row.key)


def _take_flag(job: _Import, wanted: FlagDocument) -> None:
    stock, now, path = job.stock, job.work.now, f"/flags/{wanted.key}"
    flag = stock.flags.get(wanted.key)
    variants = checks.checked_variants(wanted, None if flag is None else flag.type)
    if flag is None:
        flag = stock.flags[wanted.key] = new_flag(stock.project.id, wanted, variants, now)
        flag.archived_at = now if wanted.archived else None
        job.work.session.add(flag)
        for environment in stock.environments:
            _add_dark(job, flag, environment)
        job.note(path, differences(None, plain(wanted)))
        _take_configurations(job, flag, wanted)
        return
    was_archived, before = flag.archived_at is not None, served_of(flag)
    job.note(path, apply_flag(flag, wanted, variants, now))
    job.note(path, set_archived(flag, wanted.archived, now))
    changes = _take_configurations(job, flag, wanted)
    if served_of(flag) != before:
        check_configurations(job.work, flag, [(one, stock.configuration(flag, one)) for one in stock.environments])
    if served_of(flag) != before or was_archived != wanted.archived:
        job.touch(flag, stock.environments)
    job.changes += changes


def _take_configurations(job: _Import, flag: FlagRow, wanted: FlagDocument) -> Changes:
    changes: Changes = []
    for key, configuration in wanted.configurations.items():
        at = f"/configurations/{key}"
        environment = next((one for one in job.stock.environments if one.key == key), None)
        if environment is None:
            raise Invalid(errors=[FieldError(at, f"there is no environment `{key}` in this project")])
        with checks.under(at):
            checks.check_configuration_of(configuration.model_dump(), flag.type, flag.variants)
        row = job.stock.configuration(flag, environment)
        found = apply_configuration(flag, row, configuration, job.work.now)
        if found:
            changes += under(f"/flags/{flag.key}{at}", found)
            job.touch(flag, [environment])
    return changes


def _add_dark(job: _Import, flag: FlagRow, environment: EnvironmentRow) -> None:
    row = dark_configuration(flag, environment, job.work.now)
    job.stock.configurations[flag.id, environment.id] = row
    job.dark.append(row)
    job.touch(flag, [environment])
