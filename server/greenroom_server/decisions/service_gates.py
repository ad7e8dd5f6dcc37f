"""The verbs on release gates: what becomes of a decision on a flag that is to be lit in an environment."""

from sqlalchemy import select
from sqlmodel import col

from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_governing import DEFAULT_MODE, governing
from greenroom_server.decisions.tables import GateRow
from greenroom_server.decisions.wire import GateIn, GateOut
from greenroom_server.errors import NotFound
from greenroom_server.flags.work import Changes, Outcome, Work
from greenroom_server.releases.service_scope import Ledger, Place, environment_keys, open_ledger, place_of


async def read_gate(work: Work, project_key: str, environment: str, shelf: PolicyShelf) -> GateOut:
    place = await place_of(work, project_key)
    await _require_environment(work, place, environment)
    return await _out(work, place, environment, await _find(work, place, environment), shelf)


async def put_gate(
    work: Work, project_key: str, environment: str, wanted: GateIn, shelf: PolicyShelf
) -> Outcome[GateOut]:
    """Let the gate do so from the next change on; the same again changes nothing."""
    ledger = await open_ledger(work, project_key)
    await _require_environment(work, ledger, environment)
    row = await _find(work, ledger, environment)
    work.check_version(1 if row is None else row.version)
    before = None if row is None else row.mode
    if before == wanted.mode:
        return Outcome(await _out(work, ledger, environment, row, shelf), [])
    if row is None:
        row = GateRow(project_id=ledger.project_id, environment=environment, mode="", version=1, updated_at=work.now)
    row.mode, row.version, row.updated_at = wanted.mode, row.version + 1, work.now
    work.session.add(row)
    await work.session.flush()
    changes: Changes = [{"path": "/mode", "op": "replace", "from": before or DEFAULT_MODE, "to": wanted.mode}]
    if wanted.reason:
        changes.append({"path": "/reason", "op": "add", "to": wanted.reason})
    await work.note(ledger.project_key, "gate.put", gate_path(ledger.project_key, environment), changes)
    return Outcome(await _out(work, ledger, environment, row, shelf), changes)


def gate_path(project_key: str, environment: str) -> str:
    return f"/api/v1/projects/{project_key}/environments/{environment}/release-gate"


async def _require_environment(work: Work, place: Place | Ledger, key: str) -> None:
    if key not in await environment_keys(work, place.project_key):
        raise NotFound(f"there is no environment `{key}` in project `{place.project_key}`")


async def _find(work: Work, place: Place | Ledger, environment: str) -> GateRow | None:
    query = select(GateRow).where(col(GateRow.project_id) == place.project_id, col(GateRow.environment) == environment)
    row: GateRow | None = (await work.session.scalars(query)).one_or_none()
    return row


async def _out(work: Work, place: Place | Ledger, environment: str, row: GateRow | None, shelf: PolicyShelf) -> GateOut:
    found = await governing(work.session, shelf, place.project_id)
    return GateOut.model_validate(
        {
            "environment": environment,
            "mode": DEFAULT_MODE if row is None else row.mode,
            "is_default": row is None,
            "is_governed": environment in found.watched(),
            "version": 1 if row is None else row.version,
        }
    )
