"""Flags: made, changed, listed, archived, restored, deleted."""

from typing import Any

import pytest
from tests.api.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def keys(stage: Stage, **query: Any) -> list[str]:
    return [flag["key"] for flag in (await stage.got(stage.flags, **{"limit": 200, **query}))["items"]]


async def test_new_flag_is_dark_everywhere(stage: Stage) -> None:
    """A new flag is off in every environment, whatever it is."""
    flag = await stage.made("new", type="string", variants={"a": "x", "b": "y"})

    configuration = await stage.got(stage.flag("new", "production"))

    assert {(one["enabled"], one["reach"]) for one in flag["environments"]} == {(False, "none")}
    assert (configuration["off_variant"], configuration["fallthrough"]) == ("a", {"variant": "b"})
    assert (flag["lifecycle"], flag["version"], flag["track_exposures"]) == ("dark", 1, "counts")


async def test_boolean_has_its_variants(stage: Stage) -> None:
    """Nobody has to write down `on` and `off`."""
    assert (await stage.made("new"))["variants"] == {"on": True, "off": False}


async def test_float_stays_a_float(stage: Stage) -> None:
    """A float is written with its point, also if its author left it out."""
    await stage.made("fee", type="float", variants={"a": 1, "b": 10.0, "c": -0.5})

    text = (await stage.admin.get(stage.flag("fee"))).text

    assert '"variants":{"a":1.0,"b":10.0,"c":-0.5}' in text


async def test_change_of_number_type_is_a_change(stage: Stage) -> None:
    """1, 1.0 and true are three values to an object flag, and each is stored as such."""
    await stage.made("limits", type="object", variants={"a": {"x": 1}})

    for value, text in ((1.0, "1.0"), (True, "true"), (1, "1")):
        await stage.patched(stage.flag("limits"), {"variants": {"a": {"x": value}}})
        assert f'"a":{{"x":{text}}}' in (await stage.admin.get(stage.flag("limits"))).text


async def test_order_of_variants_is_kept(stage: Stage) -> None:
    """Variants are shown in the order in which they were written."""
    names = ["zebra", "ant", "mole", "bee"]
    await stage.made("animal", type="string", variants={name: name for name in names})

    assert list((await stage.got(stage.flag("animal")))["variants"]) == names


async def test_patch(stage: Stage) -> None:
    """What is named changes, what is null goes, all else stays."""
    before = await stage.got(stage.flag("new-checkout"))

    after = await stage.patched(stage.flag("new-checkout"), {"description": None, "tags": ["x"]})

    moved = ("description", "tags", "version", "updated_at")
    assert (after["description"], after["tags"], after["version"]) == ("", ["x"], before["version"] + 1)
    assert {name: after[name] for name in after if name not in moved} == {
        name: before[name] for name in before if name not in moved
    }


@pytest.mark.parametrize("patch", [{"key": "other"}, {"type": "string"}])
async def test_key_and_type_stay(patch: Any, stage: Stage) -> None:
    """Applications ask for a key and expect a type."""
    reply = await stage.admin.patch(stage.flag("gift-cards"), json=patch, headers={"If-Match": "*"})

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, f"/{next(iter(patch))}")


async def test_variant_in_use_stays(stage: Stage) -> None:
    """A variant that a configuration serves cannot be removed; the refusal says where."""
    reply = await stage.admin.patch(
        stage.flag("checkout-button"), json={"variants": {"pay": None}}, headers={"If-Match": "*"}
    )

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/variants")
    assert "`production`" in reply.json()["detail"]


async def test_variant_that_another_flag_needs_stays(stage: Stage) -> None:
    """Nor one that is another flag's prerequisite."""
    await stage.made("colour", type="string", variants={"red": "r", "green": "g", "blue": "b"})
    needs = {"prerequisites": [{"flag": "colour", "variants": ["blue"]}]}
    await stage.patched(stage.flag("gift-cards", "staging"), needs)

    reply = await stage.admin.patch(stage.flag("colour"), json={"variants": {"blue": None}}, headers={"If-Match": "*"})

    assert reply.status_code == 400
    assert "flag `gift-cards`: `blue` is not a variant of `colour`" in reply.json()["detail"]


async def test_archived_flag_is_served_nowhere(stage: Stage) -> None:
    """It leaves the list, can be read, and cannot be changed."""
    archived = (await stage.admin.post(f"{stage.flag('recommendations')}/archive")).json()

    assert archived["lifecycle"] == "archived"
    assert "recommendations" not in await keys(stage)
    assert await keys(stage, lifecycle="archived") == ["recommendations"]
    for path in (stage.flag("recommendations"), stage.flag("recommendations", "staging")):
        assert (await stage.admin.get(path)).status_code == 200
        reply = await stage.admin.patch(path, json={}, headers={"If-Match": "*"})
        assert (reply.status_code, reply.json()["code"]) == (409, "archived")
    reply = await stage.admin.post(f"{stage.flag('recommendations', 'staging')}/enable")
    assert (reply.status_code, reply.json()["code"]) == (409, "archived")


async def test_restored_flag_is_as_it_was(stage: Stage) -> None:
    """Its configurations come back with it."""
    before = await stage.got(stage.flag("recommendations"))
    await stage.admin.post(f"{stage.flag('recommendations')}/archive")

    after = (await stage.admin.post(f"{stage.flag('recommendations')}/restore")).json()

    assert after["environments"] == before["environments"]
    assert (after["archived_at"], after["version"]) == (None, before["version"] + 2)


async def test_prerequisite_is_not_archived(stage: Stage) -> None:
    """While a flag needs it, it stays."""
    reply = await stage.admin.post(f"{stage.flag('new-checkout')}/archive")

    assert (reply.status_code, reply.json()["code"]) == (409, "in_use")
    assert "`express-delivery`" in reply.json()["detail"]


async def test_restoring_what_lacks_something(stage: Stage) -> None:
    """What needs an archived flag is restored after it."""
    for key in ("express-delivery", "new-checkout"):
        assert (await stage.admin.post(f"{stage.flag(key)}/archive")).status_code == 200

    early = await stage.admin.post(f"{stage.flag('express-delivery')}/restore")
    await stage.admin.post(f"{stage.flag('new-checkout')}/restore")
    late = await stage.admin.post(f"{stage.flag('express-delivery')}/restore")

    assert (early.status_code, late.status_code) == (400, 200)
    assert "there is no flag `new-checkout`" in early.json()["detail"]


async def test_what_an_archived_flag_needs_is_not_deleted(stage: Stage) -> None:
    """It could never be restored."""
    rule = {"id": "a", "when": {"segment": "own"}, "serve": {"variant": "on"}}
    await stage.admin.post(stage.segments, json={"key": "own", "when": {"attribute": "a", "op": "exists"}})
    await stage.patched(stage.flag("express-delivery", "staging"), {"rules": [rule]})
    for key in ("express-delivery", "new-checkout"):
        await stage.admin.post(f"{stage.flag(key)}/archive")

    for path in (stage.flag("new-checkout"), stage.segment("own")):
        reply = await stage.admin.delete(path, headers={"If-Match": "*"})
        assert (reply.status_code, reply.json()["code"]) == (409, "in_use")
        assert "archived flag `express-delivery`" in reply.json()["detail"]


async def test_only_archived_flags_are_deleted(stage: Stage) -> None:
    """Deleting takes two steps."""
    reply = await stage.admin.delete(stage.flag("gift-cards"), headers={"If-Match": "*"})

    assert (reply.status_code, reply.json()["code"]) == (409, "not_archived")


@pytest.mark.parametrize("noun", ["flag", "segment", "environment"])
async def test_buried_key(noun: str, stage: Stage) -> None:
    """The key of what was deleted is never given out again, by an import either; in another project it is free."""
    if noun == "flag":
        await stage.admin.post(f"{stage.flag('gift-cards')}/archive")
        path, where = stage.flag("gift-cards"), stage.flags
        body: dict[str, Any] = {"key": "gift-cards", "purpose": "operational", "type": "boolean"}
    elif noun == "segment":
        await stage.admin.post(stage.segments, json={"key": "gone", "when": {"segment": "staff"}})
        path, where = stage.segment("gone"), stage.segments
        body = {"key": "gone", "when": {"segment": "staff"}}
    else:
        body = {"key": "qa", "name": "QA", "tier": "staging"}
        await stage.admin.post(stage.environments, json=body)
        path, where = f"{stage.environments}/qa", stage.environments
    assert (await stage.admin.delete(path, headers={"If-Match": "*"})).status_code == 204

    again = await stage.admin.post(where, json=body)
    document = {**stage.document(), "flags": [], f"{noun}s": [body]}
    if noun == "flag":
        document["segments"] = []
    imported = await stage.admin.post("/api/v1/import", json=document)

    assert (again.status_code, again.json()["code"]) == (409, "key_buried")
    assert (imported.status_code, imported.json()["code"]) == (409, "key_buried")


async def test_buried_project(stage: Stage) -> None:
    """A deleted project's key is gone too."""
    await stage.admin.delete(stage.project, headers={"If-Match": "*"})

    created = await stage.admin.post("/api/v1/projects", json={"key": stage.key, "name": "x"})
    imported = await stage.admin.post("/api/v1/import", json=stage.document())

    assert (created.json()["code"], imported.json()["code"]) == ("key_buried", "key_buried")


@pytest.mark.parametrize("noun", ["flags", "segments", "environments"])
async def test_key_is_taken(noun: str, stage: Stage) -> None:
    """Two of one key cannot be."""
    bodies: dict[str, Any] = {
        "flags": {"key": "gift-cards", "purpose": "operational", "type": "boolean"},
        "segments": {"key": "staff", "when": {"segment": "nordic-customers"}},
        "environments": {"key": "staging", "name": "x", "tier": "staging"},
    }

    reply = await stage.admin.post(f"{stage.project}/{noun}", json=bodies[noun])

    assert (reply.status_code, reply.json()["code"]) == (409, "key_taken")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"tag": "web"}, ["checkout-button", "delivery-fee", "new-checkout", "recommendations"]),
        ({"tag": ["web", "checkout"]}, ["delivery-fee", "new-checkout"]),
        ({"owner": "team-web"}, ["checkout-button", "recommendations"]),
        ({"purpose": "release"}, ["express-delivery", "new-checkout"]),
        ({"text": "CHECKOUT"}, ["checkout-button", "express-delivery", "new-checkout"]),
        ({"text": "kill switch"}, ["recommendations"]),
        ({"text": "100%"}, []),
        ({"lifecycle": "released"}, ["payment-limits", "recommendations"]),
        ({"lifecycle": "testing"}, ["express-delivery"]),
        ({"lifecycle": "dark"}, []),
        ({"tag": "nope"}, []),
        ({"purpose": "operational", "owner": "team-web"}, ["recommendations"]),
    ],
    ids=str,
)
async def test_filters(query: Any, expected: list[str], stage: Stage) -> None:
    """A filter takes what fits all of it."""
    assert await keys(stage, **query) == expected


@pytest.mark.parametrize(
    "query",
    [
        {"lifecycle": "x"},
        {"purpose": "x"},
        {"colour": "red"},
        {"limit": 0},
        {"limit": 201},
    ],
)
async def test_wrong_filter(query: Any, stage: Stage) -> None:
    """A filter that means nothing is not passed over in silence."""
    reply = await stage.admin.get(stage.flags, params=query)

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, next(iter(query)))


@pytest.mark.parametrize("noun", ["flags", "segments"])
async def test_pages(noun: str, stage: Stage) -> None:
    """Pages of two, one after the other, are the list, while the list grows before and behind."""
    path = f"{stage.project}/{noun}"
    whole = [one["key"] for one in (await stage.got(path, limit=200))["items"]]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while query.get("cursor", "") is not None:
        page = await stage.got(path, **query)
        seen, query = [*seen, *(one["key"] for one in page["items"])], {"limit": 2, "cursor": page["next_cursor"]}
        await stage.made(f"a-{len(seen)}")

    assert seen == whole


@pytest.mark.parametrize("cursor", ["x", "e30", "WzFd", "bnVsbA", "Wy" * 600])
async def test_forged_cursor(cursor: str, stage: Stage) -> None:
    """A cursor that no list gave out is refused by name."""
    reply = await stage.admin.get(stage.flags, params={"cursor": cursor})

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "cursor")
