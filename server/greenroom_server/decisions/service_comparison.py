"""What another policy would have made of the decisions that were given: shown before it is activated."""

from sqlalchemy import select
from sqlmodel import col

from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_decisions import situation_of
from greenroom_server.decisions.service_policies import get_version
from greenroom_server.decisions.tables import DecisionRow, PolicyVersionRow
from greenroom_server.decisions.wire import ChangedDecision, PolicyDifferenceOut
from greenroom_server.flags.work import Work
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.decide import decide
from greenroom_server.policy.difference import difference
from greenroom_server.releases.service_scope import place_of

MAX_REPLAYED = 500


async def compare_policy(
    work: Work, project_key: str, proposed: Policy, *, last: int, shelf: PolicyShelf
) -> PolicyDifferenceOut:
    """Replay the project's last decisions by this policy, beside the version that each was made by."""
    place = await place_of(work, project_key)
    query = (
        select(DecisionRow, PolicyVersionRow)
        .join(PolicyVersionRow, col(PolicyVersionRow.id) == col(DecisionRow.policy_version_id))
        .where(col(DecisionRow.project_id) == place.project_id)
        .order_by(col(DecisionRow.decided_at).desc(), col(DecisionRow.id).desc())
        .limit(last)
    )
    rows = [
        (row, old) for row, old in await work.session.execute(query) if work.principal.sees_environment(row.environment)
    ]
    changed = [one for row, old in rows if (one := _changed(row, shelf.policy_of(old), proposed)) is not None]
    return PolicyDifferenceOut(replayed=len(rows), changed=changed)


def _changed(row: DecisionRow, old: Policy, proposed: Policy) -> ChangedDecision | None:
    found = difference(old, proposed, [situation_of(row)], decide)
    shown = ("service", "environment", "action", "decided_at")
    for one in found.changed:
        return ChangedDecision.model_validate(
            {
                "id": str(row.id),
                "was": one.before.verdict,
                "would_be": one.after.verdict,
                "rules": [change.rule for change in one.because],
                **{name: getattr(row, name) for name in shown},
            }
        )
    return None


async def stored_policy(work: Work, project_key: str, name: str, version: int, shelf: PolicyShelf) -> Policy:
    """A version of a policy, ready to decide. Raises `NotFound`."""
    place = await place_of(work, project_key)
    return shelf.policy_of(await get_version(work.session, place, name, version))
