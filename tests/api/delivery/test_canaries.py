"""What is hidden from client keys is in no byte that one can get."""

from typing import Any

import pytest
from tests.api.delivery.streams_rig import running
from tests.unit.delivery.rig import Stage, flag, rule, segment

pytestmark = pytest.mark.asyncio

CANARY = "canary"


def hiding(**members: Any) -> dict[str, Any]:
    """A visible flag in whose configuration everything else is called canary."""
    when = {
        "any": [
            {"segment": "canary-segment"},
            {"attribute": "canary-attribute", "op": "in", "values": ["canary-value"]},
            {"attribute": "plan", "op": "in", "values": ["pro"]},
        ]
    }
    rules = [{"id": "canary-rule", "description": "canary description", "when": when, "serve": {"variant": "on"}}]
    return flag("seen", client_visible=True, rules=rules) | members


SPLIT = {
    "split": [{"variant": "on", "weight": 100_000}, {"variant": "off", "weight": 0}],
    "bucket_by": "canary-attribute",
}
SITES = {
    "a rule": hiding(),
    "an unmet prerequisite": hiding(prerequisites=[{"flag": "canary-flag", "variants": ["off"]}]),
    "an unknown prerequisite": hiding(prerequisites=[{"flag": "canary-gone", "variants": ["on"]}]),
    "an unknown segment": hiding(rules=[rule("on", "x") | {"when": {"segment": "canary-gone"}}]),
    "an unknown operator": hiding(rules=[rule("on", "x", "canary-value", op="canary-operator")]),
    "a split without its attribute": hiding(rules=[], fallthrough=SPLIT),
    "an unknown variant": hiding(rules=[], fallthrough={"variant": "canary-variant"}),
    "not enabled": hiding(enabled=False),
}


def stage_of(seen: dict[str, Any]) -> Stage:
    stage = Stage(seen, flag("canary-flag", prerequisites=[{"flag": "canary-flag-2", "variants": ["on"]}]))
    stage.site.flags["canary-flag-2"] = flag("canary-flag-2")
    stage.site.segments["canary-segment"] = segment("canary-segment", "canary-attribute", "canary-value")
    return stage


@pytest.mark.parametrize("seen", SITES.values(), ids=SITES)
@pytest.mark.parametrize("context", [{}, {"targetingKey": "u"}, {"plan": "pro"}], ids=["nobody", "somebody", "a match"])
async def test_no_evaluation_shows_a_hidden_name(seen: dict[str, Any], context: dict[str, Any]) -> None:
    """Single and bulk, good and failed: values, reasons, metadata, texts and headers."""
    stage = stage_of(seen)
    replies = [
        await stage.evaluate("seen", context, token="client"),
        await stage.evaluate_all(context, token="client"),
    ]

    for reply in replies:
        assert CANARY not in reply.text
        assert CANARY not in str(reply.headers)
        for item in reply.json().get("flags", [reply.json()]):
            assert set(item.get("metadata", {})) <= {"version"}


async def test_the_canaries_sing_for_a_server_key() -> None:
    """The names are really there to be leaked: this test must fail if the others prove nothing."""
    stage = stage_of(SITES["an unmet prerequisite"])

    assert CANARY in (await stage.evaluate("seen")).text
    assert CANARY in (await stage.evaluate_all()).text


async def test_hidden_flag_is_like_one_that_is_not_there() -> None:
    """Status, words and headers are the same."""
    stage = stage_of(hiding())

    hidden = await stage.evaluate("canary-flag", token="client")
    missing = await stage.evaluate("canary-nope", token="client")

    assert hidden.status_code == missing.status_code == 404
    assert hidden.text.replace("canary-flag", "canary-nope") == missing.text
    assert hidden.headers == missing.headers


async def test_bulk_names_visible_flags_only() -> None:
    """Not even as failures."""
    stage = stage_of(hiding())

    body = (await stage.evaluate_all(token="client")).json()

    assert [item["key"] for item in body["flags"]] == ["seen"]


@pytest.mark.parametrize("path", ["/api/v1/sdk/snapshot", "/api/v1/sdk/stream"])
async def test_definitions_are_not_for_client_keys(path: str) -> None:
    """403, and nothing of the environment in it."""
    stage = stage_of(hiding())
    async with stage.client("client") as client:
        reply = await client.get(path)

    assert reply.status_code == 403
    assert CANARY not in reply.text


async def test_stream_shows_no_hidden_name() -> None:
    """Through every kind of change."""
    stage = stage_of(hiding())
    (announced,) = (await stage.evaluate_all(token="client")).json()["eventStreams"]
    blocks: list[bytes] = []
    async with running(stage) as server, server.stream(announced["endpoint"]["requestUri"], token=None) as stream:
        await server.publish(flag("canary-3"), segments=[segment("canary-s", "canary-a")])
        await server.publish(hiding(enabled=False))
        await server.publish(hiding(client_visible=False))
        await stage.delivery.say_goodbye()
        while (block := await stream.block()) is not None:
            blocks.append(block)

    assert len(blocks) >= 3
    assert CANARY.encode() not in b"".join(blocks)


async def test_flag_that_was_hidden_again_is_gone() -> None:
    """From the next refresh on."""
    stage = stage_of(hiding())
    assert (await stage.evaluate("seen", token="client")).status_code == 200
    stage.site.put(hiding(client_visible=False))
    await stage.delivery.refresh()

    assert (await stage.evaluate("seen", token="client")).status_code == 404
    assert (await stage.evaluate_all(token="client")).json()["flags"] == []


async def test_key_of_another_environment_sees_nothing_of_this_one() -> None:
    """Each key reaches its own environment and no other."""
    stage = stage_of(hiding())
    other_id, _ = stage.source.add("shop", "staging", flag("other"))
    stage.keys.add("other", "server", other_id)

    for reply in (
        await stage.evaluate("seen", token="other"),
        await stage.evaluate_all(token="other"),
        await stage.snapshot(token="other"),
    ):
        assert CANARY not in reply.text
        assert "production" not in reply.text
