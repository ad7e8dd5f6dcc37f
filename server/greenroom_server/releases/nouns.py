"""The kinds of facts that are said through one pair of verbs: what they are called, who says them and who ends them."""

from dataclasses import dataclass
from typing import Any, Final

from greenroom_server.flags.wire import Closed
from greenroom_server.releases import wire_facts as wire


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of fact.

    `end` is the verb that ends one and `end_permission` what that takes; `ends_own` leaves it to whoever said it.
    `takes_person`: it is somebody's word, and the token must say whose.
    """

    kind: str
    plural: str
    wanted: type[Closed]
    shown: type[Closed]
    permission: str
    end: str | None
    end_permission: str = ""
    ends_own: bool = False
    takes_person: bool = False

    def path(self, project_key: str, fact_id: Any) -> str:
        """Where the audit log says that it is."""
        return f"/api/v1/projects/{project_key}/{self.plural}/{fact_id}"


PARITY: Final = Noun(
    "parity", "parities", wire.ParityIn, wire.ParityOut, "facts.write", end="revoke", end_permission="evidence.revoke"
)
PROVENANCE: Final = Noun(
    "provenance",
    "provenances",
    wire.ProvenanceIn,
    wire.ProvenanceOut,
    "facts.write",
    end=None,
)
HEALTH: Final = Noun(
    "health",
    "health",
    wire.HealthIn,
    wire.HealthOut,
    "facts.write",
    end=None,
)
DEMO: Final = Noun(
    "demo", "demos", wire.DemoIn, wire.DemoOut, "stories.write", end="revoke", end_permission="evidence.revoke"
)
OBSTACLE: Final = Noun(
    "obstacle",
    "obstacles",
    wire.ObstacleIn,
    wire.ObstacleOut,
    "facts.write",
    end="close",
    end_permission="stories.write",
)
INCIDENT: Final = Noun(
    "incident",
    "incidents",
    wire.IncidentIn,
    wire.IncidentOut,
    "facts.write",
    end="resolve",
    end_permission="facts.write",
)
APPROVAL: Final = Noun(
    "approval",
    "approvals",
    wire.ApprovalIn,
    wire.ApprovalOut,
    "judgements.write",
    end="withdraw",
    end_permission="judgements.write",
    ends_own=True,
    takes_person=True,
)
VETO: Final = Noun(
    "veto",
    "vetoes",
    wire.VetoIn,
    wire.VetoOut,
    "judgements.write",
    end="withdraw",
    end_permission="judgements.write",
    ends_own=True,
    takes_person=True,
)
WAIVER: Final = Noun(
    "waiver",
    "waivers",
    wire.WaiverIn,
    wire.WaiverOut,
    "judgements.write",
    end="withdraw",
    end_permission="judgements.write",
    takes_person=True,
)
NOUNS: Final = (PARITY, PROVENANCE, HEALTH, DEMO, OBSTACLE, INCIDENT, APPROVAL, VETO, WAIVER)
