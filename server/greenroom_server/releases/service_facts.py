"""Facts that people and pipelines say. They are added and never changed: what ends one is a fact of its own.

What a person says is noted in the audit log too; what a pipeline reports stands in the facts alone, under its token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import aliased
from sqlmodel import col

from greenroom_server.errors import Conflict, Forbidden, NotFound
from greenroom_server.flags.work import Work
from greenroom_server.releases.service_scope import Ledger, Place, id_of, new_id, visible
from greenroom_server.releases.tables_facts import FactRow

END: Final = "end"
USE: Final = "use"


@dataclass(frozen=True, slots=True)
class Saying:
    """A fact to be added. `person` and `roles` are those of the caller unless they are given."""

    kind: str
    service: str | None = None
    environment: str | None = None
    digest: str | None = None
    about: UUID | None = None
    at: datetime | None = None
    roles: Sequence[str] = ()
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact, and the one that ended it."""

    row: FactRow
    end: FactRow | None


@dataclass(frozen=True, slots=True)
class FactFilter:
    """Which facts of a kind to list; None takes all. `is_open`: those that nothing has ended."""

    service: str | None = None
    environment: str | None = None
    digest: str | None = None
    is_open: bool = False


async def say(work: Work, ledger: Ledger, saying: Saying) -> FactRow:
    """Add a fact under the ledger's next number."""
    row = FactRow(
        id=new_id(work.now),
        project_id=ledger.project_id,
        seq=ledger.next(),
        kind=saying.kind,
        service=saying.service,
        environment=saying.environment,
        digest=saying.digest,
        about=saying.about,
        at=saying.at or work.now,
        received_at=work.now,
        actor=work.principal.actor,
        person=work.principal.person,
        roles=list(saying.roles),
        body=dict(saying.body),
    )
    work.session.add(row)
    await work.session.flush()
    return row


async def end(work: Work, ledger: Ledger, about: UUID, reason: str, **more: Any) -> FactRow:
    """Say that a fact, or evidence, stands no longer; raises `Conflict` if somebody said so before."""
    if await _is_said(work, about, END):
        raise Conflict("it was ended before", code="ended_before")
    return await say(work, ledger, Saying(END, about=about, body={"reason": reason, **more}))


async def use(work: Work, ledger: Ledger, about: UUID, body: Mapping[str, Any]) -> FactRow:
    """Say that a fact was used, which can be done once; raises `Conflict` if it was done before."""
    if await _is_said(work, about, USE):
        raise Conflict("it was used before, and can be used once", code="used_before")
    return await say(work, ledger, Saying(USE, about=about, body=body))


async def _is_said(work: Work, about: UUID, kind: str) -> bool:
    query = select(col(FactRow.id)).where(col(FactRow.about) == about, col(FactRow.kind) == kind)
    return (await work.session.scalars(query)).first() is not None


async def get_fact(work: Work, place: Place | Ledger, kind: str, text: str) -> Fact:
    """The fact of this kind and id; raises `NotFound`, also for what lies in an environment hidden from the caller."""
    query = _facts(place, kind).where(col(FactRow.id) == id_of(text, kind))
    found = (await work.session.execute(visible(work, query, col(FactRow.environment)))).one_or_none()
    if found is None:
        raise NotFound(f"there is no {kind} `{text}` in project `{place.project_key}`")
    return Fact(*found)


async def page_facts(
    work: Work, place: Place, kind: str, wanted: FactFilter, *, before: int | None, limit: int
) -> list[Fact]:
    """Facts of a kind, newest first; `before` is the number of the last one on the page before."""
    query = visible(work, _facts(place, kind), col(FactRow.environment)).order_by(col(FactRow.seq).desc()).limit(limit)
    for column, value in (
        (col(FactRow.service), wanted.service),
        (col(FactRow.environment), wanted.environment),
        (col(FactRow.digest), wanted.digest),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.is_open:
        query = query.where(_ENDS.id.is_(None))
    if before is not None:
        query = query.where(col(FactRow.seq) < before)
    return [Fact(*found) for found in await work.session.execute(query)]


async def facts_about(work: Work, ids: Sequence[UUID], kind: str) -> list[FactRow]:
    """The facts of a kind about these, in their order."""
    query = select(FactRow).where(col(FactRow.about).in_(ids), col(FactRow.kind) == kind).order_by(col(FactRow.seq))
    return list(await work.session.scalars(query))


def require_person(work: Work) -> str:
    """Who the caller is; raises `Forbidden` if the token does not say whose it is."""
    if work.principal.person is None:
        raise Forbidden(
            "this takes somebody's word, and the token names no `person`: an administrator makes one that does",
            code="person_needed",
        )
    return work.principal.person


def ended(row: FactRow | None) -> dict[str, Any]:
    """The members that tell of a fact's end."""
    return {
        "ended_at": None if row is None else row.at,
        "ended_by": None if row is None else row.person or row.actor,
        "ended_because": None if row is None else row.body.get("reason", ""),
    }


def members_of(fact: Fact) -> dict[str, Any]:
    """A fact as it goes out: its columns, its body's members, and its end."""
    row = fact.row
    columns = row.model_dump(
        include={"seq", "service", "environment", "digest", "at", "received_at", "actor", "person", "roles"}
    )
    return {"id": str(row.id), **columns, **row.body, **ended(fact.end)}


_ENDS: Any = aliased(FactRow, name="ending")


def _facts(place: Place | Ledger, kind: str) -> Any:
    joined = (_ENDS.about == col(FactRow.id)) & (_ENDS.kind == END)
    return (
        select(FactRow, _ENDS)
        .outerjoin(_ENDS, joined)
        .where(col(FactRow.project_id) == place.project_id, col(FactRow.kind) == kind)
    )
