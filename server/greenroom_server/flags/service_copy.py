"""Between the environments of a project: compare and copy."""

from collections.abc import Mapping
from typing import Any

from greenroom_server.errors import Conflict, FieldError, Invalid
from greenroom_server.flags.documents import configured
from greenroom_server.flags.edits import apply_configuration
from greenroom_server.flags.service_configurations import (
    configuration_path,
    names_others_anew,
    require_right_to_serve,
)
from greenroom_server.flags.service_gate import look
from greenroom_server.flags.service_projects import environment_path
from greenroom_server.flags.service_publish import publish
from greenroom_server.flags.service_references import check_stock_references
from greenroom_server.flags.service_scope import Stock, get_environment, get_project, stock_of
from greenroom_server.flags.tables import ConfigurationRow, EnvironmentRow, FlagRow
from greenroom_server.flags.wire import ConfigurationIn, CopyIn, FlagDifference
from greenroom_server.flags.work import Changes, Outcome, Work, differences, under


async def compare_environments(work: Work, project_key: str, source_key: str, target_key: str) -> list[FlagDifference]:
    """The flags whose configuration differs, with what would change in the target if the source's were copied."""
    project = await get_project(work.session, project_key)
    work.principal.require_scope(None, source_key)
    source = await get_environment(work.session, project, source_key)
    target = await get_environment(work.session, project, target_key)
    stock = await stock_of(work.session, project)
    found = []
    for flag in stock.flags.values():
        if flag.archived_at is None:
            wanted = configured(stock.configuration(flag, source))
            changes = differences(configured(stock.configuration(flag, target)), wanted)
            if changes:
                found.append(FlagDifference(flag=flag.key, differences=changes))
    return found


async def copy_configurations(
    work: Work, project_key: str, target_key: str, wanted: CopyIn
) -> Outcome[list[FlagDifference]]:
    """Make the flags in the target be served as in the source. All are copied or none."""
    work.principal.require_scope(None, wanted.from_)
    project = await get_project(work.session, project_key, lock=True)
    target = await get_environment(work.session, project, target_key)
    seen = await look(work, project)
    stock = await stock_of(work.session, project)
    source = _source(stock, wanted, target)
    copied: list[FlagDifference] = []
    changes: Changes = []
    touched: dict[str, list[ConfigurationRow]] = {}
    names_anew = False
    for flag in _flags(stock, wanted):
        row = stock.configuration(flag, target)
        document = configured(stock.configuration(flag, source))
        if not wanted.include_enabled:
            document["enabled"] = row.enabled
        before = configured(row)
        configuration = ConfigurationIn.model_validate(document)
        found = await _copy(work, stock, (target, flag, row), configuration)
        if found:
            touched[flag.key] = [row]
            copied.append(FlagDifference(flag=flag.key, differences=found))
            changes += under(configuration_path(project_key, target_key, flag.key), found)
            names_anew = names_anew or names_others_anew(before, row)
    if changes:
        await publish(work, [target], flags=touched)
        if names_anew:
            check_stock_references(work, stock)
        verdicts = await seen.settle()
        await work.note(project_key, "environment.copy", environment_path(project_key, target_key), changes)
        return Outcome(copied, changes, verdicts)
    return Outcome(copied, changes)


async def _copy(
    work: Work, stock: Stock, place: tuple[EnvironmentRow, FlagRow, ConfigurationRow], wanted: ConfigurationIn
) -> Changes:
    target, flag, row = place
    before: Mapping[str, Any] = configured(row)
    if differences(before, wanted.model_dump()):
        await require_right_to_serve(work, stock.project, target, flag, (dict(before), wanted))
    return apply_configuration(flag, row, wanted, work.now)


def _source(stock: Stock, wanted: CopyIn, target: EnvironmentRow) -> EnvironmentRow:
    source = next((one for one in stock.environments if one.key == wanted.from_), None)
    if source is None:
        raise Invalid(errors=[FieldError("/from", f"there is no environment `{wanted.from_}`")])
    if source.id == target.id:
        raise Invalid(errors=[FieldError("/from", "an environment cannot be copied to itself")])
    return source


def _flags(stock: Stock, wanted: CopyIn) -> list[FlagRow]:
    if wanted.flags is None:
        return [flag for flag in stock.flags.values() if flag.archived_at is None]
    flags = []
    for index, key in enumerate(wanted.flags):
        flag = stock.flags.get(key)
        if flag is None:
            raise Invalid(errors=[FieldError(f"/flags/{index}", f"there is no flag `{key}`")])
        if flag.archived_at is not None:
            raise Conflict(f"flag `{key}` is archived: restore it first", code="archived")
        flags.append(flag)
    return flags
