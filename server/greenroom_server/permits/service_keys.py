"""The keys that sign a project's permits: made when first needed, sealed in the store, rotated by an administrator."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from greenroom_server.errors import Conflict
from greenroom_server.flags.work import Changes, Outcome, Work
from greenroom_server.permits.desk import Desk
from greenroom_server.permits.signing import envelope_of, new_key
from greenroom_server.permits.tables import AttestationRow, PermitKeyRow
from greenroom_server.permits.wire import PermitKeyOut
from greenroom_server.releases.service_scope import Ledger, open_ledger, place_of
from greenroom_server.sealing import Unreadable


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with the project's key of now."""

    work: Work
    key_id: str
    private_key: str

    async def keep(self, decision_id: UUID, kind: str, statement: dict[str, Any]) -> bytes:
        """Sign the statement and store the envelope; it counts once the transaction commits."""
        envelope = envelope_of(statement, self.key_id, self.private_key)
        self.work.session.add(
            AttestationRow(decision_id=decision_id, kind=kind, envelope=envelope, made_at=self.work.now)
        )
        await self.work.session.flush()
        return envelope


async def signer_of(work: Work, ledger: Ledger, desk: Desk) -> Signer:
    """The project's signer, with a new key if it has none; raises `Conflict` if the server cannot unseal the key."""
    row = await _signing_key(work, ledger.project_id)
    if row is None:
        row = await _add_key(work, ledger, desk)
    try:
        return Signer(work, row.key_id, desk.sealer.open(row.private_key))
    except Unreadable:
        raise Conflict(
            "none of the server's keys (`GREENROOM_WEBHOOK_SECRET_KEYS`) opens the key that signs permits:"
            " give it back, or rotate the permit key",
            code="permit_key_sealed",
        ) from None


async def list_keys(work: Work, project_key: str) -> list[PermitKeyOut]:
    """Every key that the project ever signed with, the newest first."""
    place = await place_of(work, project_key)
    query = select(PermitKeyRow).where(col(PermitKeyRow.project_id) == place.project_id)
    rows = await work.session.scalars(query.order_by(col(PermitKeyRow.created_at).desc(), col(PermitKeyRow.key_id)))
    return [_out(row) for row in rows]


async def rotate_key(work: Work, desk: Desk, project_key: str) -> Outcome[PermitKeyOut]:
    """A new key signs from now on. What the one before signed stays good until those who trust it stop doing so."""
    ledger = await open_ledger(work, project_key)
    before = await _signing_key(work, ledger.project_id)
    if before is not None:
        before.retired_at = work.now
        await work.session.flush()
    row = await _add_key(work, ledger, desk)
    retired = None if before is None else before.key_id
    changes: Changes = [{"path": "/signing", "op": "replace", "from": retired, "to": row.key_id}]
    await work.note(project_key, "permit_key.rotate", f"/api/v1/projects/{project_key}/permit-keys", changes)
    return Outcome(_out(row), changes)


async def _signing_key(work: Work, project_id: UUID) -> PermitKeyRow | None:
    query = select(PermitKeyRow).where(
        col(PermitKeyRow.project_id) == project_id, col(PermitKeyRow.retired_at).is_(None)
    )
    return (await work.session.scalars(query)).one_or_none()


async def _add_key(work: Work, ledger: Ledger, desk: Desk) -> PermitKeyRow:
    """Under the ledger's lock, so that two who need the first key get the same."""
    made = new_key()
    row = PermitKeyRow(
        project_id=ledger.project_id,
        key_id=made.key_id,
        public_key=made.public_key,
        private_key=desk.sealer.seal(made.private_key),
        created_at=work.now,
    )
    work.session.add(row)
    await work.session.flush()
    return row


def _out(row: PermitKeyRow) -> PermitKeyOut:
    return PermitKeyOut(
        key_id=row.key_id,
        algorithm="ed25519",
        public_key=row.public_key,
        created_at=row.created_at,
        retired_at=row.retired_at,
    )
