"""Snapshots and requests as JSON, and what is refused when they are read."""

import json
from typing import Any

import orjson
import pytest
import rfc8785
from tests.unit.policy.situations import NOW, asking, decided, facts, green, policy

from greenroom_server.policy.canonical import canonical_bytes, decision_bytes, write_decision
from greenroom_server.policy.facts import Snapshot
from greenroom_server.policy.fixtures import Situation
from greenroom_server.policy.stored import read_request, read_snapshot, write_request, write_snapshot


def stored() -> dict[str, Any]:
    snapshot = facts(green(), aliases={"b": "a", "c": "a"}, inactive_people=frozenset(["z", "y"])).snapshot
    written: dict[str, Any] = json.loads(canonical_bytes(write_snapshot(snapshot)))
    return written


def test_round_trip_through_bytes() -> None:
    """A decision from stored bytes is the same, to the byte."""
    situation = facts(green(), aliases={"b": "a"}, inactive_people=frozenset(["z", "y"]))
    inputs = json.loads(decided(situation).inputs)
    again = Situation(read_snapshot(inputs["snapshot"]), read_request(inputs["request"]), inputs["now"])

    assert decision_bytes(decided(again)) == decision_bytes(decided(situation))
    assert inputs["policy"] == {"digest": policy().digest, "version": 7, "tzdata": policy().tzdata}


def test_what_came_later_may_be_absent() -> None:
    """Members with a default may be missing, so that inputs of older servers replay."""
    written = stored()
    del written["health"]
    del written["evidence"][0]["revoked_at"]

    assert read_snapshot(written) == read_snapshot(stored())


def test_commit_is_written_where_there_is_one() -> None:
    """Requests of older servers have no such member, and keep the digest of their inputs."""
    plain, by_commit = green().request, asking(green(), digest=None, commit="f6" * 20).request

    assert "commit" not in write_request(plain)
    assert [read_request(write_request(one)) for one in (plain, by_commit)] == [plain, by_commit]
    assert write_decision(decided(asking(green(), digest=None, commit="f6" * 20)))["subject"]["commit"] == "f6" * 20


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("seq", "7"),
        ("seq", True),
        ("seq", 1.5),
        ("mode", "party"),
        ("builds", {}),
        ("builds", [{}]),
        ("builds", [7]),
        ("aliases", {"a": "b"}),
        ("aliases", [["a"]]),
        ("aliases", [["a", 7]]),
        ("inactive_people", [7]),
        ("surprise", []),
    ],
)
def test_refused(member: str, value: object) -> None:
    """One member is of another shape."""
    with pytest.raises(ValueError, match=r"."):
        read_snapshot({**stored(), member: value})


def test_missing_member() -> None:
    """What has no default must be there."""
    written = write_request(green().request)
    del written["service"]

    with pytest.raises(ValueError, match="no Request as it is written"):
        read_request(written)


def test_bytes_are_those_of_the_rfc() -> None:
    """Escapes, order and numbers as RFC 8785 wants them; numbers past 53 bits are refused."""
    odd: dict[str, Any] = {
        "b": '\x00\x1f\x7f"\\/\u20ac\U0001f600\u2028',
        "a": [2**53 - 1, -1, 0, None, True],
        "A": {},
        "": "",
    }

    assert canonical_bytes(odd) == rfc8785.dumps(odd)
    with pytest.raises(orjson.JSONEncodeError):
        canonical_bytes(2**53)


def test_decision_as_json() -> None:
    """The members of the guide; what is absent is left out, but for the two moments."""
    situation = asking(facts(green(), approvals=()), scheduled_for=NOW + 1)

    written = write_decision(decided(situation))

    assert written["decision"] == "wait"
    assert written["scheduled_for"] == "2026-11-17T09:00:00.001Z"
    assert (written["retry_at"], written["expires_at"]) == (None, None)
    assert written["target"] == {"environment": "production", "slot": "green"}
    assert written["rules"][0] == {
        "id": "business-go",
        "kind": "approval",
        "outcome": "pending",
        "code": "approval.missing",
        "message": "1 with the role `product` must approve, 0 did",
        "params": {"role": "product", "have": 0, "need": 1},
    }
    assert "break_glass" not in written


def test_facts_are_written_sorted() -> None:
    """Facts in another order are written the same."""
    snapshot = green().snapshot
    turned = Snapshot(**{name: _turned(getattr(snapshot, name)) for name in Snapshot.__slots__})

    assert write_snapshot(turned) == write_snapshot(snapshot)


def _turned(value: Any) -> Any:
    return value[::-1] if isinstance(value, tuple) else value
