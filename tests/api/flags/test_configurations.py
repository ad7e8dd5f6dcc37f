"""What an environment serves: patches, switches, rollouts, explanations, uses, compare and copy."""

from typing import Any

import pytest
from tests.api.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
PRODUCTION = "production"


async def revision(stage: Stage, environment: str = PRODUCTION) -> int:
    return int((await stage.got(f"{stage.environments}/{environment}"))["revision"])


async def test_change_moves_one_environment(stage: Stage) -> None:
    """A change of a configuration is the next revision of its environment, and of no other."""
    before = [await revision(stage, one) for one in ("development", "staging", PRODUCTION)]

    changed = await stage.patched(stage.flag("gift-cards", PRODUCTION), {"rules": []})

    after = [await revision(stage, one) for one in ("development", "staging", PRODUCTION)]
    assert after == [before[0], before[1], before[2] + 1]
    assert changed["revision"] == after[2]


async def test_change_of_a_flag_moves_them_all(stage: Stage) -> None:
    """Variants are served everywhere; names are served nowhere."""
    path = stage.flag("gift-cards", PRODUCTION)
    before = await revision(stage), await revision(stage, "staging")

    await stage.patched(stage.flag("gift-cards"), {"name": "New"})
    assert (await revision(stage), await revision(stage, "staging")) == before
    await stage.patched(stage.flag("gift-cards"), {"client_visible": False})
    assert (await revision(stage), await revision(stage, "staging")) == (before[0] + 1, before[1] + 1)
    assert (await stage.got(path))["revision"] == before[0] + 1


async def test_switching_says_what_changed(stage: Stage) -> None:
    """A dry run of a switch shows the one member."""
    path = f"{stage.flag('gift-cards', PRODUCTION)}/disable"

    reply = (await stage.admin.post(path, params={"dry_run": "true"})).json()

    assert reply["changes"] == [{"path": "/enabled", "op": "replace", "from": True, "to": False}]
    assert (reply["result"]["enabled"], reply["result"]["reach"]) == (False, "none")


async def test_split_by_patch(stage: Stage) -> None:
    """From one variant to a split and back takes one member each."""
    path = stage.flag("gift-cards", PRODUCTION)
    split = [{"variant": "on", "weight": 30_000}, {"variant": "off", "weight": 70_000}]

    assert (await stage.patched(path, {"fallthrough": {"split": split}}))["fallthrough"] == {"split": split}
    assert (await stage.patched(path, {"fallthrough": {"variant": "on"}}))["fallthrough"] == {"variant": "on"}


async def test_rollout(stage: Stage) -> None:
    """Half, then everybody, then nobody: the rule comes and goes, others stay."""
    path = f"{stage.flag('new-checkout', PRODUCTION)}/rollout"

    half = (await stage.admin.post(path, json={"percent": 12.345})).json()
    everybody = (await stage.admin.post(path, json={"percent": 100})).json()
    nobody = (await stage.admin.post(path, json={"percent": 0})).json()

    assert half["rules"][1]["rollout"] == {"percent": 12_345}
    assert ([rule["id"] for rule in everybody["rules"]], everybody["fallthrough"]) == (["beta"], {"variant": "on"})
    assert [rule["id"] for rule in nobody["rules"]] == ["beta", "rollout"]
    assert [one["reach"] for one in (half, everybody, nobody)] == ["some", "all", "some"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"percent": 101}, "/percent"),
        ({"percent": -1}, "/percent"),
        ({"percent": "50"}, "/percent"),
        ({"percent": True}, "/percent"),
        ({"percent": 33.3333}, "/percent"),
        ({}, "/percent"),
        ({"percent": 1, "variant": "nope"}, "/variant"),
        ({"percent": 1, "bucket_by": ""}, "/bucket_by"),
    ],
    ids=str,
)
async def test_wrong_rollout(body: Any, pointer: str, stage: Stage) -> None:
    """A share is a number from 0 to 100 with at most three decimals."""
    reply = await stage.admin.post(f"{stage.flag('new-checkout', PRODUCTION)}/rollout", json=body)

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, pointer)


async def test_rollout_over_a_rule_written_by_hand(stage: Stage) -> None:
    """It is not spoilt, and not a fault of the server's."""
    path = stage.flag("gift-cards", PRODUCTION)
    await stage.patched(path, {"rules": [{"id": "rollout", "when": {"segment": "staff"}, "serve": {"variant": "on"}}]})

    reply = await stage.admin.post(f"{path}/rollout", json={"percent": 1})

    assert (reply.status_code, reply.json()["code"]) == (409, "rule_in_the_way")


async def test_explanation_is_what_is_served(stage: Stage) -> None:
    """The steps name what decided, through prerequisites and segments, and no other flag is read for it."""
    path = f"{stage.flag('express-delivery', 'staging')}/evaluate"

    on = (await stage.admin.post(path, json={"context": {"targetingKey": "u"}})).json()
    await stage.admin.post(f"{stage.flag('new-checkout', 'staging')}/disable")
    off = (await stage.admin.post(path, json={})).json()

    assert (on["result"]["variant"], off["result"]["variant"]) == ("on", "off")
    assert off["result"]["metadata"]["prerequisite"] == "new-checkout"


async def test_explanation_at_another_time(stage: Stage) -> None:
    """`at` asks what is served then."""
    window = {"op": "within", "values": [{"zone": "Europe/Oslo", "from": "09:00", "to": "17:00"}]}
    rule = {"id": "day", "when": window, "serve": {"variant": "on"}}
    path = stage.flag("gift-cards", "production")
    await stage.patched(path, {"rules": [rule]})

    for at, variant in (("2026-06-01T12:00:00+02:00", "on"), ("2026-06-01T20:00:00+02:00", "off")):
        reply = (await stage.admin.post(f"{path}/evaluate", json={"at": at})).json()
        assert reply["result"]["variant"] == variant


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_explanation_at_the_ends_of_time(at: str, stage: Stage) -> None:
    """Any moment of the calendar can be asked for."""
    reply = await stage.admin.post(f"{stage.flag('gift-cards', PRODUCTION)}/evaluate", json={"at": at})

    assert reply.status_code == 200


async def test_uses(stage: Stage) -> None:
    """Where a segment and a flag are used, with pointers; archived flags use nothing."""
    segment = (await stage.got(f"{stage.segment('staff')}/usage"))["items"]
    flag = (await stage.got(f"{stage.flag('new-checkout')}/usage"))["items"]

    assert segment == [
        {"flag": None, "environment": None, "segment": "beta-testers", "pointer": "/when/any/0/segment"},
        {"flag": "gift-cards", "environment": "production", "segment": None, "pointer": "/rules/0/when/any/0/segment"},
    ]
    assert [(one["flag"], one["environment"], one["pointer"]) for one in flag] == [
        ("express-delivery", "staging", "/prerequisites/0"),
        ("express-delivery", "production", "/prerequisites/0"),
    ]
    await stage.admin.post(f"{stage.flag('express-delivery')}/archive")
    assert (await stage.got(f"{stage.flag('new-checkout')}/usage"))["items"] == []


async def test_text_that_looks_like_a_use(stage: Stage) -> None:
    """A value that spells a reference is a value."""
    values = ['"segment":"unused"', '"flag":"gift-cards"']
    rule = {"id": "r", "when": {"attribute": "a", "op": "in", "values": values}, "serve": {"variant": "on"}}
    await stage.admin.post(stage.segments, json={"key": "unused", "when": {"segment": "staff"}})
    await stage.patched(stage.flag("gift-cards", PRODUCTION), {"rules": [rule]})

    assert (await stage.got(f"{stage.segment('unused')}/usage"))["items"] == []
    assert (await stage.admin.delete(stage.segment("unused"), headers={"If-Match": "*"})).status_code == 204


async def test_segment_in_use_is_not_deleted(stage: Stage) -> None:
    """The refusal names a user."""
    for key, user in (("staff", "segment `beta-testers`"), ("nordic-customers", "flag `delivery-fee`")):
        reply = await stage.admin.delete(stage.segment(key), headers={"If-Match": "*"})
        assert (reply.status_code, reply.json()["code"]) == (409, "in_use")
        assert user in reply.json()["detail"]


async def test_environment_in_use_is_not_deleted(stage: Stage) -> None:
    """While a flag is on there, switching it off is a decision of its own."""
    reply = await stage.admin.delete(f"{stage.environments}/staging", headers={"If-Match": "*"})

    assert (reply.status_code, reply.json()["code"]) == (409, "environment_in_use")


async def test_order_of_environments(stage: Stage) -> None:
    """A new one is put where it belongs, and moving one keeps the order of the others."""
    await stage.admin.post(stage.environments, json={"key": "qa", "name": "QA", "tier": "staging", "position": 1})

    async def order() -> list[tuple[str, int]]:
        return [(one["key"], one["position"]) for one in (await stage.got(stage.environments))["items"]]

    assert [key for key, _ in await order()] == ["development", "qa", "staging", "production"]
    await stage.patched(f"{stage.environments}/production", {"position": 0})
    assert await order() == [("production", 0), ("development", 1), ("qa", 2), ("staging", 3)]
    await stage.patched(f"{stage.environments}/production", {"position": 99})
    await stage.admin.delete(f"{stage.environments}/qa", headers={"If-Match": "*"})
    assert await order() == [("development", 0), ("staging", 1), ("production", 2)]


async def test_copy_is_what_compare_said(stage: Stage) -> None:
    """Comparing shows what copying changes, and after it there is no difference left."""
    staging = f"{stage.environments}/staging"
    before = (await stage.got(f"{staging}/compare", **{"from": PRODUCTION}))["items"]
    was = await revision(stage, "staging")

    copied = await stage.admin.post(f"{staging}/copy", json={"from": PRODUCTION, "include_enabled": True})

    assert copied.json()["items"] == before
    assert (await stage.got(f"{staging}/compare", **{"from": PRODUCTION}))["items"] == []
    assert await revision(stage, "staging") == was + 1


async def test_copy_leaves_the_switches(stage: Stage) -> None:
    """Unless it is said, what is on stays on and what is off stays off; only the named flags are copied."""
    staging = f"{stage.environments}/staging"

    copied = await stage.admin.post(f"{staging}/copy", json={"from": PRODUCTION, "flags": ["gift-cards"]})

    assert [one["flag"] for one in copied.json()["items"]] == ["gift-cards"]
    flag = await stage.got(stage.flag("gift-cards", "staging"))
    assert (flag["enabled"], [rule["id"] for rule in flag["rules"]]) == (False, ["plus"])


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"from": "nope"}, 400, "/from"),
        ({"from": "staging"}, 400, "/from"),
        ({"from": PRODUCTION, "flags": ["nope"]}, 400, "/flags/0"),
        ({"from": PRODUCTION, "flags": []}, 400, "/flags"),
        ({"from": PRODUCTION, "flags": ["recommendations"]}, 409, None),
    ],
    ids=str,
)
async def test_wrong_copy(body: Any, status: int, pointer: str | None, stage: Stage) -> None:
    """From nowhere, from itself, of what is not there or archived."""
    await stage.admin.post(f"{stage.flag('recommendations')}/archive")

    reply = await stage.admin.post(f"{stage.environments}/staging/copy", json=body)

    assert reply.status_code == status
    assert pointer is None or reply.json()["errors"][0]["pointer"] == pointer
