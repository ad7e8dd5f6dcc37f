"""How flags stood in the past in one environment: from how they stand, with what the audit log tells taken back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.audit.service import events_about
from greenroom_server.audit.wire import AuditEventOut
from greenroom_server.database.direct import Record, fetch_all
from greenroom_server.flags.documents import CONFIGURED
from greenroom_server.flags.service_configurations import configuration_path
from greenroom_server.flags.service_dark import SERVED, Served
from greenroom_server.flags.service_flags import flag_path
from greenroom_server.flags.service_projects import environment_path, project_path
from greenroom_server.flags.standing import Reach, is_dark, reach_of
from greenroom_server.web.undoing import undone

MAX_EVENTS: Final = 20_000


@dataclass(frozen=True, slots=True)
class FlagMoment:
    """How a flag stood from `at` on. `is_there`: it existed and was not archived. None: nobody can tell any more."""

    at: datetime
    flag: str
    is_there: bool
    is_dark: bool | None
    reach: Reach | None
    stories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryOf:
    """Whose history: flags by key, and those that name one of these stories, in an environment since a moment."""

    project_id: UUID
    project: str
    environment: str
    flags: Collection[str]
    stories: Collection[str]
    since: datetime
    internal_segment: str | None


async def flag_histories(session: AsyncSession, asked: HistoryOf) -> list[FlagMoment]:
    """By flag, oldest first, each beginning at `since` or when it was created."""
    rows = await fetch_all(session, _FLAGS, asked.project_id, asked.environment, list(asked.flags), list(asked.stories))
    keys = {row["key"] for row in rows} | set(asked.flags)
    shared = (environment_path(asked.project, asked.environment), project_path(asked.project))
    targets = [*(path for key in keys for path in _paths(asked, key)), *shared]
    events = await events_about(session, asked.project, targets, asked.since, limit=MAX_EVENTS)
    known_since = events[-1].at if len(events) == MAX_EVENTS else asked.since
    there = {row["key"]: row for row in rows}
    found: list[FlagMoment] = []
    for key in sorted(keys):
        told = [(event, changes) for event in events if (changes := list(_about(asked, key, event)))]
        found += reversed(list(_past(asked, key, there.get(key), told, known_since)))
    return found


def _past(
    asked: HistoryOf,
    key: str,
    row: Record | None,
    told: Sequence[tuple[AuditEventOut, list[dict[str, Any]]]],
    known_since: datetime,
) -> Iterable[FlagMoment]:
    """How it stood, last first."""
    document = None if row is None else _document(row)
    for event, changes in told:
        yield _moment(asked, key, event.at, document)
        created = any(change["path"] == "" and change["op"] == "add" for change in changes)
        try:
            document = None if created or document is None else undone(document, changes)
        except ValueError:
            yield FlagMoment(asked.since, key, is_there=True, is_dark=None, reach=None)
            return
        if created:
            yield FlagMoment(asked.since, key, is_there=False, is_dark=None, reach=None)
            return
        if document is None:  # deleted since, and nothing is left to go back from
            yield FlagMoment(asked.since, key, is_there=True, is_dark=None, reach=None)
            return
    yield _moment(asked, key, known_since, document)
    if known_since > asked.since:
        yield FlagMoment(asked.since, key, is_there=True, is_dark=None, reach=None)


def _moment(asked: HistoryOf, key: str, at: datetime, document: Mapping[str, Any] | None) -> FlagMoment:
    if document is None or document["archived"]:
        return FlagMoment(at, key, is_there=False, is_dark=None, reach=None)
    served = Served(*(document["configuration"][name] for name in SERVED))
    reach = _reach(document["configuration"])
    return FlagMoment(at, key, True, is_dark(served, asked.internal_segment), reach, tuple(document["stories"]))


def _reach(configuration: Mapping[str, Any]) -> Reach:
    return reach_of(_Configured(**configuration))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Configured(Served):
    """All that is configured."""

    prerequisites: Sequence[Any] = ()


def _document(row: Record) -> dict[str, Any]:
    """What changes of a flag and of its configuration change."""
    return {
        "archived": row["archived_at"] is not None,
        "stories": list(row["stories"]),
        "configuration": {name: row[name] for name in CONFIGURED},
    }


def _about(asked: HistoryOf, key: str, event: AuditEventOut) -> Iterable[dict[str, Any]]:
    """What an event changed of the flag and how it is served here; the rest of the flag decides nothing."""
    own, facts = _paths(asked, key)
    imported = f"/flags/{key}"
    roots = {
        own: {"": "/configuration"},
        facts: {"": ""},
        environment_path(asked.project, asked.environment): {own: "/configuration"},
        project_path(asked.project): {
            f"{imported}/configurations/{asked.environment}": "/configuration",
            imported: "",
        },
    }
    for change in event.changes:
        for prefix, root in roots.get(event.target, {}).items():
            if change["path"] == prefix or change["path"].startswith(f"{prefix}/"):
                path = root + change["path"].removeprefix(prefix)
                if path == "" or path.startswith(("/configuration/", "/stories", "/archived")):
                    yield {**change, "path": path}
                break


def _paths(asked: HistoryOf, key: str) -> tuple[str, str]:
    return configuration_path(asked.project, asked.environment, key), flag_path(asked.project, key)


_FLAGS: Final = """
SELECT flag.key, flag.stories, flag.archived_at, served.enabled, served.off_variant, served.prerequisites, served.rules,
    served.fallthrough
FROM flag JOIN flag_configuration served ON served.flag_id = flag.id
JOIN environment ON environment.id = served.environment_id
WHERE flag.project_id = $1 AND environment.key = $2 AND (flag.key = ANY ($3::text[]) OR flag.stories && $4::text[])
"""
