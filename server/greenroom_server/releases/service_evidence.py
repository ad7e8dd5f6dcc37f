"""The verbs on evidence: take it in, read it, revoke it.

One piece is one (producer, run, attempt, kind, suite). Sent again word for word it is a duplicate; sent again with
other words it is refused, and so is the whole batch. It is never changed: a revocation is a fact of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import col

from greenroom_server.errors import Conflict, FieldError, Invalid, NotFound
from greenroom_server.flags.work import Changes, Outcome, Work, plain
from greenroom_server.releases.intake import Offered, Told
from greenroom_server.releases.service_facts import END, end
from greenroom_server.releases.service_people import producers_of
from greenroom_server.releases.service_provenances import take_provenances
from greenroom_server.releases.service_scope import (
    Ledger,
    Place,
    environment_keys,
    id_of,
    new_id,
    open_ledger,
    place_of,
    require_plausible,
    visible,
)
from greenroom_server.releases.tables_facts import EvidenceRow, FactRow, ProducerRow
from greenroom_server.releases.wire_evidence import EvidenceOut, EvidenceReceiptOut, ReceivedOut

Key: TypeAlias = tuple[str, str, int, str, str]
_KEY: Final = ("producer", "run", "attempt", "kind", "suite")
_COMPARED: Final = (
    "digest",
    "commit",
    "environment",
    "slot",
    "outcome",
    "counts",
    "suite_definition_digest",
    "started_at",
    "finished_at",
    "is_automated",
    "verified_by",
    "url",
    "attachment_digest",
)


@dataclass(frozen=True, slots=True)
class EvidenceFilter:
    """Which evidence to list; None takes all."""

    kind: str | None = None
    suite: str | None = None
    digest: str | None = None
    commit: str | None = None
    producer: str | None = None
    run: str | None = None


@dataclass(slots=True)
class _Intake:
    """A batch on its way into the store."""

    rows: list[EvidenceRow] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)


async def take_evidence(work: Work, project_key: str, told: Told) -> Outcome[EvidenceReceiptOut]:
    """Keep all of it or nothing; what was there before is told as a duplicate.

    Raises `Invalid` for what this sender, or a producer of this name, may not supply, and `Conflict` for the key of a
    piece that said something else.
    """
    place = await place_of(work, project_key)
    intake = await _checked(work, place, told.evidence)
    ledger = await open_ledger(work, project_key)
    items = await _kept(work, ledger, intake)
    changes: Changes = []
    for item, one in zip(items, told.evidence, strict=True):
        if item.status == "accepted":
            change = {"path": "", "op": "add", "to": plain(one.wanted)}
            changes.append(change)
            if work.principal.kind != "pipeline":
                await work.note(project_key, "evidence.add", evidence_path(project_key, item.id), [change])
    if told.provenances:
        received = await take_provenances(work, ledger, told.provenances)
        items += received.result
        changes += received.changes
    accepted = sum(item.status == "accepted" for item in items)
    receipt = EvidenceReceiptOut(accepted=accepted, duplicates=len(items) - accepted, items=items)
    return Outcome(receipt, changes)


async def _kept(work: Work, ledger: Ledger, intake: _Intake) -> list[ReceivedOut]:
    earlier = await _earlier(work, ledger, intake.rows)
    items: list[ReceivedOut] = []
    for row, pointer in zip(intake.rows, intake.pointers, strict=True):
        known = earlier.get(_key_of(row))
        if known is not None:
            _require_same(known, row, pointer)
            items.append(ReceivedOut(id=str(known.id), seq=known.seq, status="duplicate"))
            continue
        row.seq = ledger.next()
        work.session.add(row)
        earlier[_key_of(row)] = row
        items.append(ReceivedOut(id=str(row.id), seq=row.seq, status="accepted"))
    await work.session.flush()
    return items


async def page_evidence(
    work: Work, project_key: str, wanted: EvidenceFilter, *, before: int | None, limit: int
) -> list[EvidenceOut]:
    """Evidence, last received first."""
    place = await place_of(work, project_key)
    query = visible(work, _evidence(place), col(EvidenceRow.environment), nothing="")
    query = query.order_by(col(EvidenceRow.seq).desc()).limit(limit)
    for name in EvidenceFilter.__slots__:
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(getattr(EvidenceRow, name) == value)
    if before is not None:
        query = query.where(col(EvidenceRow.seq) < before)
    return [_out(*found) for found in await work.session.execute(query)]


async def read_evidence(work: Work, project_key: str, text: str) -> EvidenceOut:
    return _out(*(await _get(work, await place_of(work, project_key), text)))


async def revoke_evidence(work: Work, project_key: str, text: str, reason: str) -> Outcome[EvidenceOut]:
    """Say that it must not count; raises `Conflict` if somebody said so before."""
    ledger = await open_ledger(work, project_key)
    row, _ = await _get(work, ledger, text)
    ending = await end(work, ledger, row.id, reason)
    changes: Changes = [{"path": "/revoked_because", "op": "add", "to": reason}]
    await work.note(project_key, "evidence.revoke", evidence_path(project_key, row.id), changes)
    return Outcome(_out(row, ending), changes)


def evidence_path(project_key: str, evidence_id: Any) -> str:
    return f"/api/v1/projects/{project_key}/evidence/{evidence_id}"


async def _checked(work: Work, place: Place, offered: Sequence[Offered]) -> _Intake:
    producers = await producers_of(work, place)
    environments = set(await environment_keys(work, place.project_key))
    intake, errors = _Intake(), []
    for one in offered:
        row = _row_of(work, place.project_id, one)
        errors += _wrong(work, one, row, producers.get(row.producer))
        if row.environment and row.environment not in environments:
            errors.append(FieldError(f"{one.pointer}/environment", f"there is no environment `{row.environment}`"))
        intake.rows.append(row)
        intake.pointers.append(one.pointer)
    if errors:
        raise Invalid(errors=errors)
    for one in offered:
        require_plausible(work, one.pointer, finished_at=one.wanted.finished_at, started_at=one.wanted.started_at)
    return intake


def _row_of(work: Work, project_id: UUID, one: Offered) -> EvidenceRow:
    wanted, principal = one.wanted, work.principal
    is_automated = principal.kind == "pipeline" or one.verified_by is not None
    producer = one.verified_by or wanted.producer or principal.name
    if not is_automated:
        producer = principal.person or principal.actor
    return EvidenceRow(
        id=new_id(work.now),
        project_id=project_id,
        seq=0,
        kind=wanted.kind,
        suite=wanted.suite or "",
        digest=wanted.subject.digest,
        commit=wanted.subject.commit,
        environment=wanted.environment or "",
        slot=wanted.slot or "",
        outcome=wanted.outcome,
        counts=None if wanted.counts is None else wanted.counts.model_dump(),
        suite_definition_digest=wanted.suite_definition_digest,
        run=wanted.run.id,
        attempt=wanted.run.attempt,
        started_at=wanted.started_at,
        finished_at=wanted.finished_at,
        received_at=work.now,
        producer=producer,
        is_automated=is_automated,
        verified_by=one.verified_by,
        url=wanted.url,
        attachment_digest=wanted.attachment_digest,
        detail=one.detail,
        actor=principal.actor,
    )


def _wrong(work: Work, one: Offered, row: EvidenceRow, producer: ProducerRow | None) -> list[FieldError]:
    errors, at = [], one.pointer
    if row.digest is None and row.commit is None:
        errors.append(FieldError(f"{at}/subject", "a subject is a `digest` or a `commit`"))
    if row.started_at is not None and row.started_at > row.finished_at:
        errors.append(FieldError(f"{at}/started_at", "`started_at` lies after `finished_at`"))
    if row.counts is not None and row.counts["flaky"] > row.counts["passed"]:
        errors.append(FieldError(f"{at}/counts/flaky", "flaky ones are among those that passed"))
    if row.counts is not None and row.counts["total"] != sum(
        row.counts[name] for name in ("passed", "failed", "errors", "skipped")
    ):
        errors.append(FieldError(f"{at}/counts/total", "`total` must be passed, failed, errors and skipped together"))
    return errors + _not_allowed(work, one, row, producer)


def _not_allowed(work: Work, one: Offered, row: EvidenceRow, producer: ProducerRow | None) -> list[FieldError]:
    """What a pinned producer of this name may not do. Names that are not pinned are anybody's."""
    if producer is None or not row.is_automated:
        return []
    is_signed = row.verified_by == producer.name
    name, at, errors = producer.name, one.pointer, []
    if not producer.is_active:
        errors.append(FieldError(f"{at}/producer", f"the producer `{name}` is not active"))
    if producer.tokens is not None and not is_signed and str(work.principal.token_id) not in producer.tokens:
        errors.append(FieldError(f"{at}/producer", f"this token may not speak for the producer `{name}`"))
    if producer.kinds is not None and row.kind not in producer.kinds:
        errors.append(FieldError(f"{at}/kind", f"the producer `{name}` does not supply `{row.kind}`"))
    if producer.must_sign and not is_signed:
        errors.append(FieldError(f"{at}/producer", f"what the producer `{name}` supplies must carry its signature"))
    return errors


async def _earlier(work: Work, ledger: Ledger, rows: Sequence[EvidenceRow]) -> dict[Key, EvidenceRow]:
    columns = [getattr(EvidenceRow, name) for name in _KEY]
    query = select(EvidenceRow).where(
        col(EvidenceRow.project_id) == ledger.project_id, tuple_(*columns).in_([_key_of(row) for row in rows])
    )
    return {_key_of(row): row for row in await work.session.scalars(query)}


def _key_of(row: EvidenceRow) -> Key:
    return row.producer, row.run, row.attempt, row.kind, row.suite


def _require_same(known: EvidenceRow, row: EvidenceRow, pointer: str) -> None:
    differing = [name for name in _COMPARED if getattr(known, name) != getattr(row, name)]
    if differing:
        names = ", ".join(f"`{name}`" for name in differing)
        where = f" (item {pointer[1:]})" if pointer else ""
        raise Conflict(
            f"attempt {row.attempt} of run `{row.run}` reported `{row.kind}` before{where}, with another {names}",
            code="evidence_differs",
        )


_ENDS: Any = aliased(FactRow, name="ending")


def _evidence(place: Place | Ledger) -> Any:
    joined = (_ENDS.about == col(EvidenceRow.id)) & (_ENDS.kind == END)
    return select(EvidenceRow, _ENDS).outerjoin(_ENDS, joined).where(col(EvidenceRow.project_id) == place.project_id)


async def _get(work: Work, place: Place | Ledger, text: str) -> tuple[EvidenceRow, FactRow | None]:
    query = _evidence(place).where(col(EvidenceRow.id) == id_of(text, "evidence"))
    query = visible(work, query, col(EvidenceRow.environment), nothing="")
    found = (await work.session.execute(query)).one_or_none()
    if found is None:
        raise NotFound(f"there is no evidence `{text}` in project `{place.project_key}`")
    return found[0], found[1]


def _out(row: EvidenceRow, ending: FactRow | None) -> EvidenceOut:
    ended_at: datetime | None = None if ending is None else ending.at
    return EvidenceOut.model_validate(
        {
            **row.model_dump(exclude={"id", "project_id", "digest", "commit", "run", "attempt", "detail", "actor"}),
            "id": str(row.id),
            "suite": row.suite or None,
            "environment": row.environment or None,
            "slot": row.slot or None,
            "subject": {"digest": row.digest, "commit": row.commit},
            "run": {"id": row.run, "attempt": row.attempt},
            "revoked_at": ended_at,
            "revoked_by": None if ending is None else ending.person or ending.actor,
            "revoked_because": None if ending is None else ending.body["reason"],
        }
    )
