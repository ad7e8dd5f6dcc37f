"""Permits: decided and reserved in one step, for one use, and taken away by what changes meanwhile."""

import asyncio
from typing import Any

import pytest
from tests.api.permits.conftest import Permitting, codes_of
from tests.api.releases.conftest import digest_of, done, moments_ago

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_allow_gives_a_permit(permitting: Permitting) -> None:
    """It is bound to digest, place and policy, and ends within 15 minutes; the decision behind it is kept."""
    await permitting.ready()

    reply = await permitting.ask(1)

    answer = reply.json()
    permit = answer["permit"]
    assert (reply.status_code, reply.headers["location"]) == (201, f"{permitting.permits}/{permit['id']}")
    assert (permit["state"], permit["action"], permit["digest"]) == ("open", "deploy", digest_of(1))
    assert (permit["service"], permit["environment"], permit["slot"]) == ("web", "production", None)
    assert permit["policy"]["digest"] == answer["decision"]["policy"]["digest"]
    assert answer["decision"]["decision"] == "allow"
    kept = done(await permitting.pipeline.get(f"{permitting.project}/decisions/{permit['decision']}"))
    assert kept == answer["decision"]
    assert (await permitting.audited("permit.issue"))[0]["target"] == f"{permitting.permits}/{permit['id']}"


async def test_a_wait_gives_none_and_is_not_signed(permitting: Permitting) -> None:
    """What is missing is told as a decision tells it, and nothing is reserved."""
    await permitting.ruled_by()
    await permitting.releases.built(1)

    reply = await permitting.ask(1, attest_denial=True)

    assert reply.status_code == 200, reply.text
    assert (reply.json()["permit"], reply.json()["attestation"]) == (None, None)
    assert codes_of(reply.json()) == {"evidence.missing"}
    assert done(await permitting.pipeline.get(permitting.permits))["items"] == []


async def test_of_two_only_one_is_open(permitting: Permitting) -> None:
    """By the environment's concurrency of 1 the second waits, until the first one is given back."""
    await permitting.ready()
    first = await permitting.issued()
    busy = await permitting.ask(1)

    await permitting.pipeline.post(f"{permitting.permits}/{first['id']}/release", json={"reason": "not now"})
    second = await permitting.ask(1)

    assert (busy.status_code, codes_of(busy.json())) == (200, {"busy"})
    assert busy.json()["decision"]["retry_at"] is not None
    assert second.status_code == 201
    released = await permitting.read(first)
    assert (released["state"], released["ended_because"]) == ("released", "not now")


async def test_concurrency_counts_for_an_environment_and_not_for_a_service(permitting: Permitting) -> None:
    """What another service deploys there meanwhile is in the way as well; what goes elsewhere is not."""
    await permitting.ready()
    await permitting.issued()
    done(await permitting.releases.admin.post(f"{permitting.project}/services", json={"key": "api", "name": "API"}))
    body = {"digests": [digest_of(9)], "commit": "9" * 40}
    done(await permitting.pipeline.post(f"{permitting.project}/services/api/builds", json=body))
    await permitting.releases.checked(9, suite="unit", counts={"total": 3, "passed": 3})

    reply = await permitting.ask(9, service="api")

    assert codes_of(reply.json()) == {"busy"}


@pytest.mark.parametrize("limit", [2, 3])
async def test_a_rule_may_let_more_in(permitting: Permitting, limit: int) -> None:
    """As many as the rule says, and no more."""
    await permitting.ruled_by({"id": "few", "kind": "concurrency", "actions": ["deploy"], "max": limit})
    await permitting.deciding.green()

    statuses = [(await permitting.ask(1)).status_code for _ in range(limit + 1)]

    assert statuses == [201] * limit + [200]


async def test_the_same_key_gives_the_same_permit(permitting: Permitting) -> None:
    """However often it is asked for, one is reserved."""
    await permitting.ready()
    headers = {"Idempotency-Key": "run-7"}

    first, again = [await permitting.ask(1, headers=headers) for _ in range(2)]

    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(done(await permitting.pipeline.get(permitting.permits))["items"]) == 1


async def test_the_same_key_at_the_same_moment_gives_one_permit(permitting: Permitting) -> None:
    """Twins of one request are answered alike."""
    await permitting.ready()
    headers = {"Idempotency-Key": "run-8"}

    replies = await asyncio.gather(*(permitting.ask(1, headers=headers) for _ in range(4)))

    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.json()["permit"]["id"] for reply in replies}) == 1


async def test_a_permit_is_used_once(permitting: Permitting) -> None:
    """The second use is refused, also at the same moment."""
    await permitting.ready()
    permit = await permitting.issued()

    replies = await asyncio.gather(*(permitting.use(permit) for _ in range(5)))

    assert sorted(reply.status_code for reply in replies) == [200, 409, 409, 409, 409]
    assert {reply.json()["code"] for reply in replies if reply.status_code == 409} == {"permit_over"}
    assert (await permitting.read(permit))["state"] == "used"


async def test_a_used_permit_still_holds_its_place(permitting: Permitting) -> None:
    """What is under way is in the way of others until it is told that it is over."""
    await permitting.ready()
    permit = await permitting.issued()
    done(await permitting.use(permit))

    assert codes_of((await permitting.ask(1)).json()) == {"busy"}


async def test_an_expired_permit_is_none(permitting: Permitting) -> None:
    """After its time it cannot be used, and holds nobody up."""
    await permitting.ready()
    permit = await permitting.issued(valid_for_s=1)

    async def is_over() -> bool:
        return bool((await permitting.read(permit))["state"] == "expired")

    await until(is_over)
    refused = await permitting.use(permit)

    assert (refused.status_code, refused.json()["code"]) == (409, "permit_over")
    assert (await permitting.ask(1)).status_code == 201


async def test_a_permit_ends_with_what_it_was_decided_on(permitting: Permitting) -> None:
    """Evidence that is about to be stale shortens it."""
    await permitting.ruled_by()
    await permitting.releases.built(1)
    almost = moments_ago(minutes=55)
    await permitting.releases.checked(1, suite="unit", counts={"total": 3, "passed": 3}, finished_at=almost)

    answer = (await permitting.ask(1)).json()

    assert answer["permit"]["expires_at"][:19] == answer["decision"]["expires_at"][:19]


async def test_a_veto_between_issue_and_use_revokes(permitting: Permitting) -> None:
    """Using it is refused with the decision; the permit is revoked for good."""
    await permitting.ready()
    permit = await permitting.issued()
    await permitting.releases.said("vetoes", {"reason": "no"}, await permitting.releases.person())

    refused = await permitting.use(permit)

    assert refused.status_code == 409, refused.text
    if refused.json()["code"] == "permit_revoked":  # the background was not quicker
        assert refused.json()["decision"]["decision"] == "deny"
    after = await permitting.read(permit)
    assert (after["state"], "veto" in after["ended_because"]) == ("revoked", True)
    assert (await permitting.audited("permit.revoke"))[0]["target"] == f"{permitting.permits}/{permit['id']}"


async def test_a_veto_is_shown_without_anybody_using_it(permitting: Permitting) -> None:
    """The server looks after open permits by itself."""
    await permitting.ready()
    permit = await permitting.issued()
    await permitting.releases.said("vetoes", {"reason": "no"}, await permitting.releases.person())

    async def is_revoked() -> bool:
        return bool((await permitting.read(permit))["state"] == "revoked")

    await until(is_revoked)


async def test_a_new_freeze_revokes(permitting: Permitting) -> None:
    """A policy with a freeze that is activated meanwhile is another one: what the old one permitted is over."""
    await permitting.ready()
    permit = await permitting.issued()
    freeze = {"type": "freeze", "from": "2020-01-01T00:00", "to": "2999-01-01T00:00"}
    rule = {"id": "frozen", "kind": "calendar", "actions": ["deploy"], "use": ["stop"]}
    await permitting.ruled_by(rule, calendars={"stop": freeze})

    refused = await permitting.use(permit)

    assert refused.status_code == 409
    assert (await permitting.read(permit))["state"] == "revoked"


async def test_another_policy_revokes_although_it_would_allow(permitting: Permitting) -> None:
    """A permit is bound to the policy that it was issued by."""
    await permitting.ready()
    permit = await permitting.issued()
    await permitting.ruled_by({"id": "more", "kind": "veto", "actions": ["deploy"]})

    assert (await permitting.use(permit)).status_code == 409
    assert "another policy" in (await permitting.read(permit))["ended_because"]


async def test_a_red_rerun_revokes(permitting: Permitting) -> None:
    """Whatever would not be allowed any more is not permitted any more."""
    await permitting.ready()
    permit = await permitting.issued()
    counts = {"total": 3, "passed": 2, "failed": 1}
    await permitting.releases.checked(
        1, suite="unit", outcome="fail", counts=counts, run={"id": "later"}, finished_at=moments_ago(seconds=1)
    )

    assert (await permitting.use(permit)).status_code == 409
    assert "evidence.failed" in (await permitting.read(permit))["ended_because"]


async def test_a_dry_run_reserves_and_signs_nothing(permitting: Permitting) -> None:
    """It tells what would be decided, and nobody can use that."""
    await permitting.ready()
    body = {"service": "web", "environment": "production", "digest": digest_of(1)}

    tried = done(await permitting.pipeline.post(f"{permitting.permits}?dry_run=true", json=body))

    assert tried["result"]["permit"]["state"] == "open"
    assert tried["result"]["attestation"] is None
    assert done(await permitting.pipeline.get(permitting.permits))["items"] == []
    assert done(await permitting.pipeline.get(permitting.keys))["items"] == []


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"valid_for_s": 901}, "/valid_for_s"),
        ({"valid_for_s": 0}, "/valid_for_s"),
        ({"action": "release"}, "/action"),
        ({"digest": "latest"}, "/digest"),
        ({"flag": "banner"}, "/flag"),
    ],
)
async def test_bad_requests_name_what_is_wrong(permitting: Permitting, members: Any, pointer: str) -> None:
    """Each is refused before anything is decided."""
    reply = await permitting.ask(1, **members)

    assert reply.status_code == 400
    assert [error["pointer"] for error in reply.json()["errors"]] == [pointer]


async def test_unknown_things_are_denied_or_not_found(permitting: Permitting) -> None:
    """An unknown place is a deny, an unknown permit is none."""
    await permitting.ready()

    assert codes_of((await permitting.ask(1, environment="the-moon")).json()) == {"policy.none"}
    assert (await permitting.pipeline.get(f"{permitting.permits}/nonsense")).status_code == 404
    nobodys = f"{permitting.permits}/019ab9d8-7c10-7d4d-8b0c-6f1f5f9f2d12"
    assert (await permitting.pipeline.post(f"{nobodys}/use")).status_code == 404


async def until(condition: Any, within_s: float = 10.0) -> None:
    """Wait for a condition of the server's."""
    async with asyncio.timeout(within_s):
        while not await condition():  # each look is a request
            pass
