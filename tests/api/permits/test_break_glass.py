"""Break-glass: two people, a role, a reason, once, for a short time; and somebody else looks at it afterwards."""

from typing import Any

import pytest
from tests.api.contract.client import ContractClient
from tests.api.permits.conftest import BREAK_GLASS, Permitting, codes_of, glass_for
from tests.api.releases.conftest import digest_of, done, moments_ago
from tests.api.store import statement

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPTIONAL = {
    "staging": {"order": 10, "tier": "staging", "production_like": True},
    "production": {"order": 20, "tier": "production", "after": ["staging"]},
}


class People:
    """An incident commander, two others, and a build whose acceptance is red."""

    def __init__(self, permitting: Permitting, ada: ContractClient, bo: ContractClient, cy: ContractClient) -> None:
        self.permitting = permitting
        self.ada = ada
        self.bo = bo
        self.cy = cy

    async def ready(self, **members: Any) -> dict[str, Any]:
        """A break-glass that two people stand for."""
        glass = await self.permitting.opened(self.ada, **members)
        return done(await self.permitting.glass(glass, "confirm", self.bo, comment="I looked"))


async def people(permitting: Permitting, **policy: Any) -> People:
    await permitting.ruled_by(**policy)
    await permitting.releases.built(1)
    counts = {"total": 3, "passed": 1, "failed": 2}
    await permitting.releases.checked(1, suite="unit", outcome="fail", counts=counts)
    releases = permitting.releases
    ada = await releases.person("developer", "incident-commander")
    return People(permitting, ada, await releases.person("developer"), await releases.person("manager"))


async def test_two_people_let_a_red_build_through(permitting: Permitting) -> None:
    """The rule is shown failed and overridden, and the permit says by which break-glass."""
    them = await people(permitting)
    opened = await permitting.opened(them.ada)
    alone = await permitting.ask(1)
    ready = done(await permitting.glass(opened, "confirm", them.bo))

    answer = (await permitting.ask(1)).json()

    assert (opened["state"], ready["state"], ready["needs"]) == ("open", "ready", 2)
    assert codes_of(alone.json()) == {"evidence.failed"}
    decision = answer["decision"]
    (rule,) = (one for one in decision["rules"] if one["id"] == "tested")
    assert (decision["decision"], decision["break_glass"]) == ("allow", opened["id"])
    assert (rule["outcome"], rule["overridden_by"]) == ("fail", opened["id"])
    used = done(await them.cy.get(f"{permitting.glasses}/{opened['id']}"))
    assert (used["state"], used["used_by"]) == ("used", f"{permitting.permits}/{answer['permit']['id']}")
    assert used["review_due"] > used["used_at"]


async def test_it_is_for_one_use(permitting: Permitting) -> None:
    """The next permit needs another one, also while the first is open."""
    them = await people(permitting)
    await them.ready()
    first = (await permitting.ask(1)).json()["permit"]
    again = await permitting.ask(1)
    done(await permitting.pipeline.post(f"{permitting.permits}/{first['id']}/release", json={}))

    assert {"evidence.failed", "busy"} == codes_of(again.json())
    assert codes_of((await permitting.ask(1)).json()) == {"evidence.failed"}


async def test_its_permit_can_be_used(permitting: Permitting) -> None:
    """Deciding anew, its own break-glass still counts; what changed since counts too."""
    them = await people(permitting)
    await them.ready()
    permit = (await permitting.ask(1)).json()["permit"]

    started = await permitting.started()

    assert (started["sanction"], started["permit"]) == ("break_glass", permit["id"])


async def test_where_permits_are_optional_the_decision_uses_it(permitting: Permitting) -> None:
    """The first allow is what it lets through, and there is no second."""
    them = await people(permitting, environments=OPTIONAL)
    glass = await them.ready()

    first, second = [await permitting.deciding.asked() for _ in range(2)]
    used = done(await them.cy.get(f"{permitting.glasses}/{glass['id']}"))

    assert (first["decision"], second["decision"]) == ("allow", "deny")
    assert used["used_by"].endswith(f"/decisions/{first['id']}")


async def test_where_permits_are_asked_for_a_decision_does_not_use_it(permitting: Permitting) -> None:
    """Whoever only asks takes nothing away from whoever deploys."""
    them = await people(permitting)
    await them.ready()

    assert (await permitting.deciding.asked())["decision"] == "allow"
    assert (await permitting.ask(1)).status_code == 201


async def test_for_a_release_the_decision_uses_it(permitting: Permitting) -> None:
    """There are no permits for flags, so the first allow is the one, whatever the policy asks of deployments."""
    them = await people(permitting)
    await permitting.releases.deployed(1, live=True)
    await them.ready(action="release")
    asked = {"action": "release", "service": "web", "environment": "production", "flag": "gift-cards"}

    decided = [
        done(await permitting.pipeline.post(permitting.deciding.decisions, json={**asked, "audience": "all"}))
        for _ in range(2)
    ]

    assert [one["decision"] for one in decided] == ["allow", "deny"]


@pytest.mark.parametrize(
    "other", [{"digest": digest_of(2)}, {"environment": "staging"}, {"action": "rollback"}], ids=str
)
async def test_it_is_for_what_it_names(permitting: Permitting, other: dict[str, str]) -> None:
    """Another build, place or action is not let through."""
    them = await people(permitting)
    await permitting.releases.built(2)
    await them.ready(**other)

    assert (await permitting.ask(1)).status_code == 200


async def test_never_means_never(permitting: Permitting) -> None:
    """What the policy lists under `never` holds, whoever stands for it."""
    rule = {"id": "origin", "kind": "provenance", "actions": ["deploy"], "builders": ["ci://main"]}
    await permitting.ruled_by(rule, break_glass={**BREAK_GLASS, "never": ["origin"]})
    await permitting.deciding.green()
    ada = await permitting.releases.person("developer", "incident-commander")
    bo = await permitting.releases.person("developer")
    glass = await permitting.opened(ada)
    done(await permitting.glass(glass, "confirm", bo))

    answer = (await permitting.ask(1)).json()

    assert (answer["permit"], answer["decision"]["decision"]) == (None, "wait")
    assert done(await ada.get(f"{permitting.glasses}/{glass['id']}"))["state"] == "ready"


async def test_four_eyes_see_one_person_under_all_names(permitting: Permitting) -> None:
    """Who opened it does not confirm it, nor under another name; nor does anybody twice."""
    them = await people(permitting)
    opened = await permitting.opened(them.ada)
    name = opened["opened_by"]
    alias = await permitting.releases.stage.bearing("developer", person="ada-at-home@users.example")
    path = f"{permitting.project}/people/{name}"
    done(await permitting.releases.admin.put(path, json={"aliases": ["ada-at-home@users.example"]}))

    replies = [await permitting.glass(opened, "confirm", client) for client in (them.ada, alias)]

    assert [(reply.status_code, reply.json()["code"]) for reply in replies] == [(403, "four_eyes")] * 2
    done(await permitting.glass(opened, "confirm", them.bo))
    enough = await permitting.glass(opened, "confirm", them.cy)
    assert (enough.status_code, enough.json()["code"]) == (409, "break_glass_not_open")


async def test_who_opens_it_has_the_role(permitting: Permitting) -> None:
    """A role of the policy in force; a machine has none, and no word to give."""
    them = await people(permitting)
    nobody = await permitting.releases.stage.bearing("developer")

    refused = [
        await client.post(permitting.glasses, json=glass_for()) for client in (them.bo, permitting.pipeline, nobody)
    ]

    assert [reply.json()["code"] for reply in refused] == ["role_needed", "forbidden", "person_needed"]


async def test_a_policy_without_break_glass_has_none(permitting: Permitting) -> None:
    """Nor is there one without a policy."""
    ada = await permitting.releases.person("developer", "incident-commander")
    without = await ada.post(permitting.glasses, json=glass_for())
    await permitting.deciding.ruled_by()

    refused = await ada.post(permitting.glasses, json=glass_for())

    assert {without.json()["code"], refused.json()["code"]} == {"no_break_glass"}


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"ttl_minutes": 241}, "/ttl_minutes"),
        ({"ttl_minutes": 0}, "/ttl_minutes"),
        ({"reason": ""}, "/reason"),
        ({"ticket": ""}, "/ticket"),
        ({"environment": "the-moon"}, "/environment"),
        ({"service": "unheard-of"}, "/service"),
        ({"environment": "development"}, "/environment"),
        ({"action": "darken"}, "/action"),
    ],
)
async def test_bad_requests_name_what_is_wrong(permitting: Permitting, members: Any, pointer: str) -> None:
    """The limit of the policy (`max_ttl: 4h`) is one of them."""
    them = await people(permitting)

    reply = await them.ada.post(permitting.glasses, json=glass_for(**members))

    assert (reply.status_code, [one["pointer"] for one in reply.json()["errors"]]) == (400, [pointer]), reply.text


async def test_a_withdrawn_one_lets_nothing_through(permitting: Permitting) -> None:
    """It is over; one that was used is not withdrawn but reviewed."""
    them = await people(permitting)
    glass = await them.ready()
    withdrawn = done(await permitting.glass(glass, "withdraw", them.bo, reason="repaired"))
    denied = await permitting.ask(1)
    other = await them.ready()
    await permitting.ask(1)

    late = await permitting.glass(other, "withdraw", them.bo)

    assert (withdrawn["state"], codes_of(denied.json())) == ("withdrawn", {"evidence.failed"})
    assert (late.status_code, late.json()["code"]) == (409, "break_glass_used")


async def test_it_ends_with_its_time(permitting: Permitting) -> None:
    """After `ttl_minutes` it lets nothing through, and nobody confirms it any more."""
    them = await people(permitting)
    glass = await them.ready()
    await _rewrite(permitting, glass["id"], "until", moments_ago(seconds=1))

    denied = await permitting.ask(1)
    late = await permitting.glass(glass, "confirm", them.cy)

    assert codes_of(denied.json()) == {"evidence.failed"}
    assert late.json()["detail"].startswith("the break-glass is expired")


async def test_a_third_person_reviews_it(permitting: Permitting) -> None:
    """Neither of those who stood for it; and only what was used."""
    them = await people(permitting)
    glass = await them.ready()
    early = await permitting.glass(glass, "review", them.cy, findings="nothing yet")
    await permitting.ask(1)

    own = [await permitting.glass(glass, "review", one, findings="fine") for one in (them.ada, them.bo)]
    reviewed = done(await permitting.glass(glass, "review", them.cy, findings="a certificate had expired"))
    again = await permitting.glass(glass, "review", them.cy, findings="twice")

    assert early.json()["code"] == "break_glass_not_used"
    assert [reply.json()["code"] for reply in own] == ["four_eyes", "four_eyes"]
    assert (reviewed["state"], reviewed["findings"]) == ("reviewed", "a certificate had expired")
    assert again.status_code == 409


async def test_an_overdue_review_holds_everything_up(permitting: Permitting) -> None:
    """What is green waits too, until the review is written; it is told aloud, once."""
    them = await people(permitting)
    glass = await them.ready()
    permit = (await permitting.ask(1)).json()["permit"]
    done(await permitting.pipeline.post(f"{permitting.permits}/{permit['id']}/release", json={}))
    await permitting.deciding.green(2)
    fine = await permitting.ask(2, valid_for_s=1)
    done(await permitting.pipeline.post(f"{permitting.permits}/{fine.json()['permit']['id']}/release", json={}))
    use = f"SELECT id FROM fact WHERE about = '{glass['id']}' AND kind = 'use'"
    await _rewrite(permitting, f"({use})", "review_due", moments_ago(seconds=1))

    overdue = await permitting.ask(2)
    while not await permitting.audited("break_glass.review_overdue"):
        pass
    shown = done(await them.cy.get(f"{permitting.glasses}/{glass['id']}"))
    done(await permitting.glass(glass, "review", them.cy, findings="late, and done"))

    assert codes_of(overdue.json()) == {"breakglass.review_overdue"}
    assert shown["is_overdue"] is True
    assert len(await permitting.audited("break_glass.review_overdue")) == 1
    assert (await permitting.ask(2)).status_code == 201


async def test_every_step_is_told_aloud(permitting: Permitting) -> None:
    """Opening, confirming, using and reviewing are audit events, which go to webhooks."""
    them = await people(permitting)
    glass = await them.ready()
    await permitting.ask(1)
    done(await permitting.glass(glass, "review", them.cy, findings="fine"))

    for verb in ("open", "confirm", "use", "review"):
        (event,) = await permitting.audited(f"break_glass.{verb}")
        assert event["target"] == f"{permitting.glasses}/{glass['id']}"


async def _rewrite(permitting: Permitting, fact: str, member: str, value: str) -> None:
    """Time passes: a moment in a fact becomes an earlier one. A new fact lets everybody look again."""
    id_ = fact if fact.startswith("(") else f"'{fact}'"
    change = f"body = jsonb_set(body, '{{{member}}}', '\"{value}\"')"
    await statement(permitting.releases.stage.url, f"UPDATE fact SET {change} WHERE id = {id_}")
    await permitting.releases.said("parities", {"environment": "staging", "of": "production"})
