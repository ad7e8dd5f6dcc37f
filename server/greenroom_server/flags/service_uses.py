"""Where things are used, for people and before something is taken away."""

from greenroom_server.errors import Conflict
from greenroom_server.flags.conditions import segments_in
from greenroom_server.flags.service_references import segments_naming, uses_of_flag, uses_of_segment
from greenroom_server.flags.service_scope import get_flag, get_project, get_segment
from greenroom_server.flags.tables import ProjectRow
from greenroom_server.flags.wire import Use
from greenroom_server.flags.work import Work


async def list_uses_of_segment(work: Work, project_key: str, key: str) -> list[Use]:
    """Where the segment is used: by other segments, and by flags in the environments that the caller may see."""
    project = await get_project(work.session, project_key)
    await get_segment(work.session, project, key)
    uses = [
        Use(flag=None, environment=None, segment=other.key, pointer=pointer)
        for other in await segments_naming(work, project, key)
        for name, pointer in segments_in(other.when, "/when")
        if name == key
    ]
    for flag, environment, row in await uses_of_segment(work, project, key):
        if flag.archived_at is None and work.principal.sees_environment(environment.key):
            uses += [
                Use(flag=flag.key, environment=environment.key, segment=None, pointer=pointer)
                for index, rule in enumerate(row.rules)
                for name, pointer in segments_in(rule.get("when"), f"/rules/{index}/when")
                if name == key
            ]
    return uses


async def list_uses_of_flag(work: Work, project_key: str, key: str) -> list[Use]:
    """Where the flag is a prerequisite, in the environments that the caller may see."""
    project = await get_project(work.session, project_key)
    await get_flag(work.session, project, key)
    return [
        Use(flag=flag.key, environment=environment.key, segment=None, pointer=f"/prerequisites/{index}")
        for flag, environment, row in await uses_of_flag(work, project, key)
        if flag.archived_at is None and work.principal.sees_environment(environment.key)
        for index, prerequisite in enumerate(row.prerequisites)
        if prerequisite["flag"] == key
    ]


async def require_unused_segment(work: Work, project: ProjectRow, key: str) -> None:
    """Raises `Conflict` if a flag or segment names the segment; an archived flag might be restored, so it counts."""
    for other in await segments_naming(work, project, key):
        raise Conflict(f"segment `{key}` is used by segment `{other.key}`", code="in_use")
    for flag, environment, row in await uses_of_segment(work, project, key):
        if any(name == key for rule in row.rules for name, _ in segments_in(rule.get("when"))):
            raise _in_use(work, f"segment `{key}`", flag.key, environment.key, flag.archived_at is not None)


async def require_unused_flag(work: Work, project: ProjectRow, key: str, *, by_archived: bool = False) -> None:
    """Raises `Conflict` if the flag is a prerequisite of another; with `by_archived`, archived ones count too."""
    for flag, environment, _ in await uses_of_flag(work, project, key):
        if flag.archived_at is None or by_archived:
            raise _in_use(work, f"flag `{key}`", flag.key, environment.key, flag.archived_at is not None)


def _in_use(work: Work, what: str, flag_key: str, environment_key: str, is_archived: bool) -> Conflict:
    where = f" in `{environment_key}`" if work.principal.sees_environment(environment_key) else ""
    archived = "archived " if is_archived else ""
    return Conflict(f"{what} is used by {archived}flag `{flag_key}`{where}", code="in_use")
