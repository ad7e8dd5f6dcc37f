"""Who uses whom: flags name segments and prerequisite flags, segments name segments."""

from collections.abc import Iterator, Mapping
from typing import Any

from greenroom_server.errors import Conflict
from greenroom_server.flags.checks import check_references_of
from greenroom_server.flags.service_publish import flag_documents, segment_documents
from greenroom_server.flags.service_scope import environments_of, get_flag, get_project, get_segment
from greenroom_server.flags.tables import EnvironmentRow, ProjectRow
from greenroom_server.flags.wire import Use
from greenroom_server.flags.work import Work


async def check_references_in(work: Work, project: ProjectRow, environment: EnvironmentRow) -> None:
    """Raises `Invalid` if what the environment serves names what is not there, or goes in circles.

    In a batch, only remembers that this is to be done at its end.
    """
    if work.batch is not None:
        work.batch.is_to_check = True
        return
    await work.session.flush()
    flags = await flag_documents(work.session, environment)
    segments = await segment_documents(work.session, project.id)
    check_references_of(flags, segments, environment.key)


async def check_project_references(work: Work, project: ProjectRow) -> None:
    """`check_references_in` every environment."""
    for environment in await environments_of(work.session, project):
        await check_references_in(work, project, environment)


async def uses_of_segment(work: Work, project_key: str, key: str) -> list[Use]:
    """Where the segment is used: by flags in each environment, and by other segments."""
    project = await get_project(work.session, project_key)
    await get_segment(work.session, project, key)
    return await _uses_of_segment(work, project, key)


async def uses_of_flag(work: Work, project_key: str, key: str) -> list[Use]:
    """Where the flag is a prerequisite."""
    project = await get_project(work.session, project_key)
    await get_flag(work.session, project, key)
    return await _uses_of_flag(work, project, key)


async def require_unused_segment(work: Work, project: ProjectRow, key: str) -> None:
    """Raises `Conflict` if a flag or segment names the segment."""
    _require_none(f"segment `{key}`", await _uses_of_segment(work, project, key))


async def require_unused_flag(work: Work, project: ProjectRow, key: str) -> None:
    """Raises `Conflict` if the flag is a prerequisite of another."""
    _require_none(f"flag `{key}`", await _uses_of_flag(work, project, key))


def _require_none(what: str, uses: list[Use]) -> None:
    if uses:
        use = uses[0]
        by = f"segment `{use.segment}`" if use.flag is None else f"flag `{use.flag}` in `{use.environment}`"
        raise Conflict(f"{what} is used by {by}", code="in_use")


async def _uses_of_segment(work: Work, project: ProjectRow, key: str) -> list[Use]:
    uses = []
    for other, document in (await segment_documents(work.session, project.id)).items():
        uses += [
            Use(flag=None, environment=None, segment=other, pointer=pointer)
            for pointer in _segment_pointers(document["when"], key, "/when")
        ]
    for environment in await environments_of(work.session, project):
        for flag_key, document in (await flag_documents(work.session, environment)).items():
            uses += [
                Use(flag=flag_key, environment=environment.key, segment=None, pointer=pointer)
                for index, rule in enumerate(document["rules"])
                for pointer in _segment_pointers(rule.get("when"), key, f"/rules/{index}/when")
            ]
    return uses


async def _uses_of_flag(work: Work, project: ProjectRow, key: str) -> list[Use]:
    return [
        Use(flag=flag_key, environment=environment.key, segment=None, pointer=f"/prerequisites/{index}")
        for environment in await environments_of(work.session, project)
        for flag_key, document in (await flag_documents(work.session, environment)).items()
        for index, prerequisite in enumerate(document["prerequisites"])
        if prerequisite["flag"] == key
    ]


def _segment_pointers(condition: Any, key: str, at: str) -> Iterator[str]:
    if not isinstance(condition, Mapping):
        return
    if condition.get("segment") == key:
        yield f"{at}/segment"
    for group in ("all", "any"):
        for index, part in enumerate(condition.get(group, ())):
            yield from _segment_pointers(part, key, f"{at}/{group}/{index}")
    yield from _segment_pointers(condition.get("not"), key, f"{at}/not")
