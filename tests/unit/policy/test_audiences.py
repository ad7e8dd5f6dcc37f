"""Which audience takes in which."""

import pytest
from tests.unit.policy.situations import changed, codes, decided, facts, green, only

from greenroom_server.policy.audiences import takes_in
from greenroom_server.policy.fixtures import AUDIENCE


@pytest.mark.parametrize(
    ("approved", "asked", "expected"),
    [
        ("all", "25%", True),
        ("all", "segment beta", True),
        ("25%", "25 %", True),
        ("25%", "5%", True),
        ("2.5%", "2.499%", True),
        ("2.5%", "2.501%", False),
        ("25%", "all", False),
        ("25%", "segment beta", False),
        ("segment beta", "segment beta", True),
        ("segment beta", "25%", False),
        (None, None, True),
        (None, "25%", False),
    ],
)
def test_takes_in(approved: str | None, asked: str | None, expected: bool) -> None:
    """The same, everybody, and a share that is no larger."""
    assert takes_in(approved, asked) is expected


@pytest.mark.parametrize(
    ("audience", "verdict", "expected"),
    [
        ("all", "approve", {}),
        ("somebody else", "approve", {"business-go": "approval.missing"}),
        ("all", "reject", {"business-go": "approval.rejected"}),
        ("somebody else", "reject", {"business-go": "approval.missing"}),
    ],
)
def test_approvals_of_larger_audiences_count(audience: str, verdict: str, expected: dict[str, str]) -> None:
    """Who approved that all get it has approved that some do; and what a person rejected for all is rejected."""
    situation = green("release")
    (approval,) = (one for one in situation.snapshot.approvals if one.audience == AUDIENCE)

    given = changed(situation.snapshot.approvals, approval.id, audience=audience, verdict=verdict)

    assert codes(decided(facts(situation, approvals=given), only("business-go"))) == expected
