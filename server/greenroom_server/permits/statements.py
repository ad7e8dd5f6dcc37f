"""What is signed, as in-toto statements: the verdict (SLSA VSA v1) and the record of a break-glass. Pure.

A VSA knows PASSED and FAILED: a wait is never signed, and what went through by break-glass is FAILED. Members that a
VSA does not have begin with `greenroom_`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

STATEMENT: Final = "https://in-toto.io/Statement/v1"
VERDICT: Final = "https://slsa.dev/verification_summary/v1"
BREAK_GLASS: Final = "urn:greenroom:break-glass:v1"
ALLOWED: Final = "GREENROOM_ALLOWED"


@dataclass(frozen=True, slots=True)
class Verifier:
    """Who vouches: a URI that consumers pin together with the key, and the version of the server."""

    id: str
    version: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What was decided on, and what came of it. `permit` and `expires_at` are None for what was denied."""

    project: str
    decision: Mapping[str, Any]
    decision_id: str
    at: datetime
    permit: str | None = None
    expires_at: datetime | None = None

    @property
    def service(self) -> str:
        return str(self.decision["subject"]["service"])

    @property
    def digest(self) -> str:
        return str(self.decision["subject"]["digest"])


def resource_uri(project: str, service: str, place: tuple[str, str | None], action: str) -> str:
    """What a verdict is about beside the digest: a pass for staging is none for production."""
    environment, slot = place
    where = f"{environment}/{slot}" if slot else environment
    return f"greenroom://{project}/{service}/{where}?action={action}"


def verdict_statement(verifier: Verifier, granted: Granted) -> dict[str, Any]:
    """The verdict; PASSED only for an allow that no break-glass was needed for."""
    decision, target = granted.decision, granted.decision["target"]
    policy = decision["policy"]
    has_passed = decision["decision"] == "allow" and "break_glass" not in decision
    place = (target["environment"], target.get("slot"))
    predicate = {
        "verifier": {"id": verifier.id, "version": {"greenroom-server": verifier.version}},
        "timeVerified": granted.at.isoformat(),
        "resourceUri": resource_uri(granted.project, granted.service, place, decision["action"]),
        "policy": {
            "uri": f"greenroom://{granted.project}/policies/{policy['name']}/versions/{policy['version']}",
            "digest": {"sha256": policy["digest"].removeprefix("sha256:")},
        },
        "verificationResult": "PASSED" if has_passed else "FAILED",
        "verifiedLevels": [ALLOWED] if has_passed else ["FAILED"],
        "slsaVersion": "1.0",
        **_ours(granted),
    }
    return _statement(granted, VERDICT, predicate)


def break_glass_statement(verifier: Verifier, granted: Granted, glass: Mapping[str, Any]) -> dict[str, Any]:
    """Who let it through in spite of which rules, and why; `glass` are the members of `BreakGlassOut`."""
    overridden = [
        {"rule": rule["id"], "outcome": rule["outcome"], "code": rule["code"]}
        for rule in granted.decision["rules"]
        if "overridden_by" in rule
    ]
    predicate = {
        "verifier": {"id": verifier.id, "version": {"greenroom-server": verifier.version}},
        "breakGlass": {
            name: glass[name]
            for name in ("id", "action", "environment", "reason", "ticket", "opened_by", "confirmed_by", "until")
        },
        "overridden": overridden,
        "timeUsed": granted.at.isoformat(),
        **_ours(granted),
    }
    return _statement(granted, BREAK_GLASS, predicate)


def _statement(granted: Granted, kind: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    subject = {"name": granted.service, "digest": {"sha256": granted.digest.removeprefix("sha256:")}}
    return {"_type": STATEMENT, "subject": [subject], "predicateType": kind, "predicate": predicate}


def _ours(granted: Granted) -> dict[str, Any]:
    known: dict[str, Any] = {"greenroom_decision": granted.decision_id}
    if granted.permit is not None and granted.expires_at is not None:
        known |= {"greenroom_permit": granted.permit, "greenroom_expiresAt": granted.expires_at.isoformat()}
    return known
