"""Forgetting a person: every row of one targeting key, in a project's environments."""

import hashlib
from typing import Any, Final

from sqlalchemy import CursorResult, text

from greenroom_server.exposures.wire import ErasedOut
from greenroom_server.flags.service_projects import project_path
from greenroom_server.flags.service_scope import environments_of, get_project
from greenroom_server.flags.work import Outcome, Work


async def erase_subject(work: Work, project_key: str, targeting_key: str) -> Outcome[ErasedOut]:
    """Erase what was stored of the subject; the audit log keeps a hash, by which only who knows the key finds it."""
    project = await get_project(work.session, project_key)
    environments = [
        row.id for row in await environments_of(work.session, project) if work.principal.sees_environment(row.key)
    ]
    values = {"environments": environments, "subject": targeting_key}
    erased = {name: await _rows_of(work, statement, values) for name, statement in _STATEMENTS.items()}
    digest = hashlib.sha256(f"{project.id}/{targeting_key}".encode()).hexdigest()
    changes = [{"path": f"/subjects/{digest}", "op": "remove", "from": erased}]
    await work.note(project_key, "subject.erase", f"{project_path(project_key)}/subjects/{digest}", changes)
    return Outcome(ErasedOut(**erased), changes)


async def _rows_of(work: Work, statement: Any, values: dict[str, Any]) -> int:
    result: CursorResult[Any] = await work.session.execute(statement, values)  # type: ignore[assignment]
    return result.rowcount


_STATEMENTS: Final = {
    "exposures": text("DELETE FROM exposure WHERE environment_id = ANY (:environments) AND targeting_key = :subject"),
    "outcomes": text("DELETE FROM outcome WHERE environment_id = ANY (:environments) AND targeting_key = :subject"),
}
