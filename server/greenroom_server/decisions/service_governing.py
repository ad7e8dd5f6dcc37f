"""Which policies govern the releases of a project's flags, where, and what becomes of their answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.direct import fetch_one
from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_look import find_policy
from greenroom_server.decisions.wire import GateMode
from greenroom_server.policy.applicability import environments_of
from greenroom_server.policy.compiled import Policy
from greenroom_server.releases.service_places import NO_SERVICE

DEFAULT_MODE: Final[GateMode] = "enforce"


@dataclass(frozen=True, slots=True)
class Governing:
    """The policies in force by service (`NO_SERVICE`: for all others), and what each environment's gate does."""

    policies: Mapping[str, Policy]
    modes: Mapping[str, GateMode]
    environments: Sequence[str]
    internal_segment: str | None

    def governs(self, service: str, environment: str) -> bool:
        """Whether the policy of the service has a rule about releases there, in whatever mode the service is."""
        policy = self.policies.get(service) or self.policies.get(NO_SERVICE)
        return policy is not None and _rules_releases(policy, environment)

    def watched(self) -> frozenset[str]:
        """The environments in which any of the policies has a rule about releases."""
        policies = self.policies.values()
        return frozenset(key for key in self.environments if any(_rules_releases(one, key) for one in policies))

    def mode_of(self, environment: str) -> GateMode:
        return self.modes.get(environment, DEFAULT_MODE)


async def governing(session: AsyncSession, shelf: PolicyShelf, project_id: UUID) -> Governing:
    """How it is now; of a project without policies nothing more is asked."""
    row = await fetch_one(session, _GOVERNING, project_id)
    versions = {} if row is None else row["versions"] or {}
    policies: dict[str, Policy] = {}
    for service, version_id in versions.items():
        policy = await find_policy(session, shelf, UUID(version_id))
        if policy is not None:
            policies[service or NO_SERVICE] = policy
    if row is None or not policies:
        return Governing({}, {}, (), None)
    return Governing(policies, row["modes"] or {}, row["environments"] or (), row["internal_segment"])


def _rules_releases(policy: Policy, environment: str) -> bool:
    document = policy.document
    return any("release" in rule.actions and environment in environments_of(rule, document) for rule in document.rules)


_GOVERNING: Final = """
SELECT
    (SELECT json_object_agg(service, policy_version_id) FROM (
        SELECT DISTINCT ON (service) service, policy_version_id FROM policy_activation
        WHERE project_id = $1 ORDER BY service, number DESC) newest) AS versions,
    (SELECT json_object_agg(environment, mode) FROM release_gate WHERE project_id = $1) AS modes,
    (SELECT json_agg(key ORDER BY position) FROM environment WHERE project_id = $1) AS environments,
    (SELECT internal_segment FROM release_ledger WHERE project_id = $1) AS internal_segment
"""
