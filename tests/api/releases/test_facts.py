"""What people say: bound to who they are, in the roles that they have, and taken back only by themselves."""

from typing import Any

import pytest
from tests.api.contract.client import ContractClient
from tests.api.releases.conftest import Releases, digest_of, done

pytestmark = pytest.mark.asyncio(loop_scope="session")

APPROVAL = {"verdict": "approve", "action": "deploy", "environment": "production", "digest": digest_of(1)}


async def open_ones(releases: Releases, plural: str, **query: str) -> list[dict[str, Any]]:
    found = await releases.admin.get(f"{releases.project}/{plural}", params={"open": "true", **query})
    items: list[dict[str, Any]] = done(found)["items"]
    return items


async def test_an_approval_keeps_who_and_in_which_roles(releases: Releases) -> None:
    """The roles of the token and those of the project, as they are at that moment."""
    ada = await releases.stage.bearing("manager", person="ada@shop.example", roles=["product"])
    await put_person(releases, "ada@shop.example", roles=["security"])

    made = await releases.said("approvals", APPROVAL, ada)
    await put_person(releases, "ada@shop.example", roles=[])

    found = (await open_ones(releases, "approvals"))[0]
    assert (found["person"], found["roles"]) == ("ada@shop.example", ["product", "security"])
    assert found == made


async def test_nobody_in_particular_approves_nothing(releases: Releases) -> None:
    """An administrator's token without a person, a pipeline's, and that of somebody who left."""
    await put_person(releases, "gone@shop.example", is_active=False)
    gone = await releases.stage.bearing("manager", person="gone@shop.example", roles=["product"])

    async def refusal(client: ContractClient) -> tuple[int, str]:
        reply = await client.post(f"{releases.project}/approvals", json=APPROVAL)
        return reply.status_code, reply.json()["code"]

    assert await refusal(releases.admin) == (403, "person_needed")
    assert await refusal(releases.pipeline) == (403, "forbidden")
    assert await refusal(gone) == (403, "person_inactive")


async def test_a_pipeline_is_nobody(releases: Releases) -> None:
    """A machine's token cannot be made to stand for a person."""
    wanted = {"name": "ci", "kind": "pipeline", "person": "ada@shop.example", "roles": ["product"]}

    reply = await releases.admin.post("/api/v1/tokens", json=wanted)

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/person")


@pytest.mark.parametrize("plural", ["approvals", "vetoes"])
async def test_only_oneself_takes_back_ones_word(releases: Releases, plural: str) -> None:
    """Another person cannot withdraw it, whoever it is; the person can, once, and an alias is the same person."""
    ada = await releases.stage.bearing("manager", person="ada@shop.example")
    eve = await releases.person("admin")
    body = {**APPROVAL, "verdict": "reject"} if plural == "approvals" else {"reason": "no"}
    made = await releases.said(plural, body, ada)
    path = f"{releases.project}/{plural}/{made['id']}/withdraw"
    await put_person(releases, "ada@shop.example", aliases=["a.lovelace@shop.example"])
    alias = await releases.stage.bearing("manager", person="a.lovelace@shop.example")

    by_eve = await eve.post(path, json={})
    by_alias = await alias.post(path, json={"reason": "it is well"})
    again = await ada.post(path, json={})

    assert (by_eve.status_code, by_eve.json()["code"]) == (403, "not_yours")
    assert by_alias.json()["ended_because"] == "it is well"
    assert (again.status_code, again.json()["code"]) == (409, "ended_before")
    assert await open_ones(releases, plural) == []


async def test_a_demo_is_accepted_in_a_role(releases: Releases) -> None:
    """Only in a role that the person has; each acceptance is kept."""
    demo = await releases.said("demos", {"stories": ["SHOP-1"], "environment": "staging"})
    path = f"{releases.project}/demos/{demo['id']}/accept"
    customer = await releases.person("developer", "customer")

    refused = await customer.post(path, json={"role": "product"})
    accepted = done(await customer.post(path, json={"role": "customer", "comment": "fine"}))

    assert (refused.status_code, refused.json()["code"]) == (403, "role_needed")
    assert [(one["role"], one["comment"]) for one in accepted["accepted_by"]] == [("customer", "fine")]
    assert (await open_ones(releases, "demos"))[0]["accepted_by"] == accepted["accepted_by"]


@pytest.mark.parametrize(
    ("plural", "body", "verb"),
    [
        ("obstacles", {"text": "the disk is full", "environment": "production"}, "close"),
        ("incidents", {"text": "orders are lost", "service": "web"}, "resolve"),
        ("parities", {"environment": "staging", "of": "production", "drift": ["postgresql 16"]}, "revoke"),
    ],
)
async def test_a_fact_stands_until_it_is_ended(releases: Releases, plural: str, body: object, verb: str) -> None:
    """It is listed as open until then, and afterwards with who ended it and why."""
    made = await releases.said(plural, body, releases.pipeline)
    ada = await releases.person()

    before = await open_ones(releases, plural)
    ended = done(await ada.post(f"{releases.project}/{plural}/{made['id']}/{verb}", json={"reason": "over"}))

    assert [one["id"] for one in before] == [made["id"]]
    assert (await open_ones(releases, plural), ended["ended_because"]) == ([], "over")
    assert ended["ended_by"].endswith("@shop.example")


@pytest.mark.parametrize(
    ("plural", "body", "pointer"),
    [
        ("approvals", {**APPROVAL, "digest": None}, "/digest"),
        ("approvals", {**APPROVAL, "flag": "gift-cards"}, "/flag"),
        ("approvals", {**APPROVAL, "action": "release"}, "/flag"),
        ("approvals", {**APPROVAL, "environment": "moon"}, "/environment"),
        ("vetoes", {"service": "nobody", "reason": "no"}, "/service"),
        ("vetoes", {"reason": ""}, "/reason"),
        (
            "waivers",
            waiver := {"rule": "soak", "environment": "production", "reason": "x", "until": "2999-01-01T00:00:00Z"},
            "/digest",
        ),
        ("waivers", {**waiver, "service": "web", "until": "2020-01-01T00:00:00Z"}, "/until"),
        ("demos", {"stories": [], "environment": "staging"}, "/stories"),
        ("demos", {"stories": ["A-1"], "environment": "staging", "at": "2999-01-01T00:00:00Z"}, "/at"),
        ("parities", {"environment": "staging", "of": "moon"}, "/environment"),
    ],
)
async def test_bad_input_is_told_where(releases: Releases, plural: str, body: object, pointer: str) -> None:
    """The problem points at the member."""
    ada = await releases.person()

    reply = await ada.post(f"{releases.project}/{plural}", json=body)

    assert reply.status_code == 400, reply.text
    assert [one["pointer"] for one in reply.json()["errors"]] == [pointer]


async def test_a_mode_is_a_decision_that_is_kept(releases: Releases) -> None:
    """Each change is noted once, with who made it and why; the same again is none."""
    ada = await releases.person()
    path = f"{releases.service}/environments/production/mode"
    before = done(await ada.get(path))

    changed = done(await ada.put(path, json={"mode": "hold", "reason": "stock-taking"}))
    again = done(await ada.put(path, json={"mode": "hold", "reason": "still"}))

    assert (before["mode"], before["seq"], changed["reason"]) == ("delivery", 0, "stock-taking")
    assert again == changed
    modes = done(await ada.get(releases.service))["modes"]
    assert [one["mode"] for one in modes] == ["delivery", "delivery", "hold"]
    events = done(await releases.admin.get(releases.stage.audit, params={"action": "mode.put"}))["items"]
    assert len(events) == 1


async def test_what_people_say_is_audited_and_what_machines_report_is_not(releases: Releases) -> None:
    """A pipeline's facts carry its token; a person's are in the audit log besides."""
    await releases.said("incidents", {"text": "reported"}, releases.pipeline)
    await releases.said("incidents", {"text": "said"}, await releases.person())

    events = done(await releases.admin.get(releases.stage.audit, params={"action": "incident.create"}))["items"]

    assert [event["changes"][0]["to"]["text"] for event in events] == ["said"]


async def test_a_name_belongs_to_one_person(releases: Releases) -> None:
    """An alias of somebody is nobody else's alias, nor a person of its own."""
    await put_person(releases, "ada@shop.example", aliases=["Ada L <ada@users.example>", "al"])

    twice = await releases.admin.put(f"{releases.project}/people/eve@shop.example", json={"aliases": ["al"]})
    itself = await releases.admin.put(f"{releases.project}/people/al", json={})

    assert (twice.status_code, twice.json()["errors"][0]["pointer"]) == (400, "/aliases/0")
    assert (itself.status_code, itself.json()["errors"][0]["pointer"]) == (400, "person")


async def put_person(releases: Releases, person: str, **members: Any) -> None:
    done(await releases.admin.put(f"{releases.project}/people/{person}", json=members))
