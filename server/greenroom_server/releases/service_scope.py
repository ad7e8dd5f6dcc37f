"""Where a fact belongs: the project's ledger, which numbers it, and the service and environment that it names."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from greenroom_server.errors import FieldError, Forbidden, Invalid, NotFound
from greenroom_server.flags.service_scope import environments_of, get_project
from greenroom_server.flags.work import Work
from greenroom_server.releases.tables import LedgerRow, ServiceRow

MAX_AHEAD: Final = timedelta(minutes=2)
MAX_BEHIND: Final = timedelta(days=3660)

_LOCKED: Final = (
    select(LedgerRow)
    .where(col(LedgerRow.project_id) == bindparam("project_id"))
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)


@dataclass(slots=True)
class Ledger:
    """A project's ledger, locked: nobody else numbers a fact of the project until the transaction ends."""

    project_id: UUID
    project_key: str
    row: LedgerRow

    def next(self) -> int:
        """The next number; it counts only if the transaction commits."""
        self.row.seq += 1
        return self.row.seq


@dataclass(frozen=True, slots=True)
class Place:
    """A project to read in, and its services' keys by their ids."""

    project_id: UUID
    project_key: str


async def open_ledger(work: Work, project_key: str) -> Ledger:
    """Lock the ledger, late in a transaction if there is much to check: all intake of the project waits for it.

    It is not the project's row, so facts and flags are written beside each other.
    """
    project = await get_project(work.session, project_key)
    names = {"project_id": project.id}
    row = (await work.session.scalars(_LOCKED, names)).one_or_none()
    if row is None:
        first = insert(LedgerRow).values(project_id=project.id, seq=0)
        await work.session.execute(first.on_conflict_do_nothing())
        row = (await work.session.scalars(_LOCKED, names)).one()
    return Ledger(project.id, project.key, row)


async def place_of(work: Work, project_key: str) -> Place:
    project = await get_project(work.session, project_key)
    return Place(project.id, project.key)


async def get_service(work: Work, place: Place | Ledger, key: str) -> ServiceRow:
    """The service; raises `NotFound`."""
    query = select(ServiceRow).where(col(ServiceRow.project_id) == place.project_id, col(ServiceRow.key) == key)
    row = (await work.session.scalars(query)).one_or_none()
    if row is None:
        raise NotFound(f"there is no service `{key}` in project `{place.project_key}`")
    return row


async def environment_keys(work: Work, project_key: str) -> list[str]:
    """The keys of the project's environments that the caller may see, first stage first."""
    rows = await environments_of(work.session, await get_project(work.session, project_key))
    return [row.key for row in rows if work.principal.sees_environment(row.key)]


async def require_environment(work: Work, project_key: str, key: str) -> None:
    """Raises `Invalid` naming the query parameter `environment` if it is not there, or not the caller's to see."""
    if key not in await environment_keys(work, project_key):
        detail = f"there is no environment `{key}`"
        raise Invalid(detail, errors=[FieldError("environment", detail)])


async def require_named(
    work: Work, place: Place | Ledger, *, service: str | None = None, environments: tuple[str | None, ...] = ()
) -> None:
    """Raises `Invalid` naming the member whose service or environment is not there, or not the caller's to see."""
    errors = []
    if service is not None:
        known = select(col(ServiceRow.id)).where(
            col(ServiceRow.project_id) == place.project_id, col(ServiceRow.key) == service
        )
        if (await work.session.scalars(known)).first() is None:
            errors.append(FieldError("/service", f"there is no service `{service}`"))
    named = [key for key in environments if key is not None]
    if named:
        keys = await environment_keys(work, place.project_key)
        errors += [FieldError("/environment", f"there is no environment `{key}`") for key in named if key not in keys]
    if errors:
        raise Invalid(errors=errors)


def require_all_environments(work: Work, what: str) -> None:
    """Raises `Forbidden` if the caller is limited to environments: what names none covers all of them."""
    if work.principal.environments is not None:
        raise Forbidden(f"{what} without an `environment` covers all of them, and this token is limited to some")


def visible(work: Work, query: Any, column: Any, *, nothing: Any = None) -> Any:
    """The query without what lies in environments hidden from the caller; `nothing` stands for no environment."""
    if work.principal.environments is None:
        return query
    anywhere = column.is_(None) if nothing is None else column == nothing
    return query.where(or_(anywhere, column.in_(sorted(work.principal.environments))))


def require_plausible(work: Work, within: str = "", **moments: datetime | None) -> None:
    """Raises `Invalid` for a moment that lies ahead of the server's clock by more than two minutes, or in another age.

    The names are those of the members of what the pointer `within` points to.
    """
    errors = []
    for name, moment in moments.items():
        if moment is None:
            continue
        if moment > work.now + MAX_AHEAD:
            errors.append(
                FieldError(f"{within}/{name}", f"`{name}` lies more than 2 minutes ahead of the server's clock")
            )
        elif moment < work.now - MAX_BEHIND:
            errors.append(FieldError(f"{within}/{name}", f"`{name}` lies more than {MAX_BEHIND.days} days back"))
    if errors:
        raise Invalid(errors=errors, code="implausible_time")


def new_id(now: datetime) -> UUID:
    """A UUID of version 7: ids made later sort later, to a millisecond."""
    milliseconds = int(now.timestamp() * 1000)
    value = milliseconds << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def id_of(text: str, what: str) -> UUID:
    """The id in a path; raises `NotFound` for a text that is none."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"there is no {what} `{text}`") from None
