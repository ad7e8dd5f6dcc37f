"""What is forged, old, early, repeated or about something else never turns a decision into allow."""

from typing import Any, Final

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.api.decisions.conftest import Deciding, found, policy_of
from tests.api.releases.conftest import digest_of, done, evidence_of, moments_ago
from tests.api.releases.documents import public_half, signed, statement

from greenroom_server.policy import judge
from greenroom_server.policy.rules import RULES

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREEN: Final[dict[str, Any]] = {"suite": "unit", "counts": {"total": 3, "passed": 3}}
BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<testsuite><testcase name="&b;"/></testsuite>'
)


async def _waits_for_tests(deciding: Deciding) -> None:
    await deciding.ruled_by()
    await deciding.releases.built(1)
    assert found(await deciding.asked(), "tested") == ("pending", "evidence.missing")


async def test_old_evidence_is_stale_however_often_it_is_sent(deciding: Deciding) -> None:
    """The suite counts for an hour; the same run told again is a duplicate and no fresher."""
    await _waits_for_tests(deciding)
    old = evidence_of(1, **GREEN, finished_at=moments_ago(hours=2))

    first = await deciding.pipeline.post(deciding.releases.evidence, json=old)
    again = await deciding.pipeline.post(deciding.releases.evidence, json=old)
    fresher = {**old, "finished_at": moments_ago(minutes=1)}
    replayed = await deciding.pipeline.post(deciding.releases.evidence, json=fresher)

    assert (first.status_code, again.json()["duplicates"]) == (201, 1)
    assert (replayed.status_code, replayed.json()["code"]) == (409, "evidence_differs")
    assert found(await deciding.asked(), "tested") == ("pending", "evidence.stale")


async def test_evidence_about_another_build_gives_no_credit(deciding: Deciding) -> None:
    """Green for the neighbour, or for an artifact that nobody built, is missing here."""
    await _waits_for_tests(deciding)
    await deciding.releases.built(2)
    for number in (2, 404):
        await deciding.releases.checked(number, **GREEN)

    assert found(await deciding.asked(1), "tested") == ("pending", "evidence.missing")
    assert (await deciding.asked(2))["decision"] == "allow"


async def test_evidence_from_the_future_is_refused(deciding: Deciding) -> None:
    """It would stay fresh for longer than it is."""
    await _waits_for_tests(deciding)

    body = evidence_of(1, **GREEN, finished_at=moments_ago(minutes=-3))
    refused = await deciding.pipeline.post(deciding.releases.evidence, json=body)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/finished_at")
    assert found(await deciding.asked(), "tested") == ("pending", "evidence.missing")


async def test_forged_evidence_is_refused(deciding: Deciding) -> None:
    """A test result that another key signed is nobody's; under the pinned key it counts."""
    await _waits_for_tests(deciding)
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    body = {"public_keys": [public_half(key)], "must_sign": True}
    done(await deciding.releases.admin.put(f"{deciding.project}/producers/ci", json=body))
    predicate = {"result": "PASSED", "configuration": [], "passedTests": ["a", "b", "c"]}
    result = statement("https://in-toto.io/attestation/test-result/v0.1", predicate, 1)
    beside = {"kind": "test.unit", "suite": "unit", "run": "1", "finished_at": moments_ago(minutes=1)}

    async def sent(data: bytes, media_type: str, **more: str) -> httpx.Response:
        headers = {"Content-Type": media_type}
        params = {**beside, **more}
        return await deciding.pipeline.post(deciding.releases.evidence, content=data, params=params, headers=headers)

    forged = await sent(signed(result, other), "application/vnd.dsse+json")
    unsigned = await sent(result, "application/vnd.in-toto+json", producer="ci")
    assert (forged.status_code, forged.json()["code"]) == (400, "evidence_signature")
    assert (unsigned.status_code, unsigned.json()["errors"][0]["pointer"]) == (400, "/producer")
    assert found(await deciding.asked(), "tested") == ("pending", "evidence.missing")

    done(await sent(signed(result, key), "application/vnd.dsse+json"))

    assert (await deciding.asked())["decision"] == "allow"


async def test_a_bomb_is_refused_and_changes_nothing(deciding: Deciding) -> None:
    """Entities are not expanded, and the decision is the one before."""
    await _waits_for_tests(deciding)
    params = {"kind": "test.unit", "suite": "unit", "run": "1", "digest": digest_of(1)}
    params["finished_at"] = moments_ago(minutes=1)

    refused = await deciding.pipeline.post(
        deciding.releases.evidence, content=BOMB, params=params, headers={"Content-Type": "application/xml"}
    )

    assert (refused.status_code, refused.json()["code"]) == (400, "evidence_forbidden_construct")
    assert found(await deciding.asked(), "tested") == ("pending", "evidence.missing")


async def test_an_action_without_a_rule_is_denied(deciding: Deciding) -> None:
    """Nothing is allowed by absence: the policy says nothing about a switch."""
    await deciding.ruled_by()
    await deciding.green()

    decision = await deciding.asked(action="switch")

    assert (decision["decision"], [rule["code"] for rule in decision["rules"]]) == ("deny", ["policy.none"])


@pytest.mark.parametrize("condition", ["C1", "C2", "C3"])
async def test_a_policy_that_leaves_a_condition_open_is_refused(deciding: Deciding, condition: str) -> None:
    """And the one before goes on deciding."""
    await deciding.ruled_by()
    before = (await deciding.asked())["policy"]
    document = policy_of()
    document["rules"] = [rule for rule in document["rules"] if rule["condition"] != condition]

    refused = await deciding.author.post(deciding.policies, json=document)

    assert (refused.status_code, refused.json()["code"]) == (400, "policy_refused")
    assert any(condition in error["detail"] for error in refused.json()["errors"]), refused.text
    assert (await deciding.asked())["policy"] == before


async def test_a_rule_that_breaks_denies(deciding: Deciding, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be evaluated is no permission; the decision is answered, and stored, like any other."""
    await deciding.ruled_by()
    await deciding.green()
    assert (await deciding.asked())["decision"] == "allow"

    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(judge, "RULES", {**RULES, "suites": breaks})
    decision = await deciding.asked()

    assert (decision["decision"], found(decision, "tested")) == ("deny", ("error", "rule.error"))
    assert done(await deciding.pipeline.get(f"{deciding.decisions}/{decision['id']}")) == decision
