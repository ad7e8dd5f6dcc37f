"""Steps: what they serve, when they come, and that all flags of one change together."""

import pytest
from tests.api.rollouts.conftest import PLAN, Scene

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_release_goes_from_our_own_people_to_everyone(scene: Scene) -> None:
    """Each step when its hour has passed, one at a time, and clean configurations in the end."""
    await scene.made()
    first = await scene.told("go", {"reason": "the demo went well"})
    assert (first["state"], first["step"], first["waits"][0]["what"]) == ("running", 1, "time")
    configuration = await scene.configuration()
    assert configuration["enabled"]
    assert configuration["rules"] == [
        {"id": "release.autumn", "when": {"segment": "staff"}, "serve": {"variant": "on"}}
    ]
    assert configuration["fallthrough"] == {"variant": "off"}

    await scene.ticks()
    assert (await scene.read())["step"] == 1

    second = await scene.goes_on()
    assert second["step"] == 2
    shares = [(await scene.configuration(one["flag"]))["rules"][1] for one in PLAN["flags"]]
    rollout = {"percent": 5000, "group": "autumn"}
    assert shares == [{"id": "release.autumn.share", "rollout": rollout, "serve": {"variant": "on"}}] * 2

    assert (await scene.goes_on())["step"] == 3
    last = await scene.goes_on()

    assert (last["state"], last["step"], last["waits"]) == ("finished", 4, [])
    configuration = await scene.configuration()
    assert (configuration["rules"], configuration["fallthrough"]) == ([], {"variant": "on"})
    told = [(event["action"], event["changes"][0]["to"]) for event in await scene.events()]
    assert [action for action, _ in told] == [
        *("release.create", "release.started", "release.step", "release.step", "release.step", "release.step"),
        "release.finished",
    ]
    moves = (await scene.stage.got(f"{scene.path()}/moves"))["items"]
    assert [(one["kind"], one["from_step"], one["to_step"]) for one in moves] == [
        ("step", number, number + 1) for number in range(4)
    ]
    assert len({one["version"] for one in moves}) == 4


async def test_flags_may_join_later_and_keep_what_they_served(scene: Scene) -> None:
    """A flag that a step names `nobody` for is not touched; one that was on goes on serving the others."""
    flags = [{"flag": "express-delivery"}, {"flag": "gift-cards", "bucket_by": "account"}]
    steps = [
        {"audience": "internal", "flags": {"gift-cards": "nobody"}, "advance": {"after": "1h"}},
        {"audience": {"segment": "nordic-customers"}, "flags": {"gift-cards": {"percent": 12.5}}},
    ]
    await scene.made(flags=flags, steps=steps)
    before = await scene.configuration("gift-cards")
    await scene.told("go")
    assert (await scene.configuration("gift-cards"))["version"] == before["version"]

    await scene.goes_on()

    joined = await scene.configuration("gift-cards")
    assert joined["rules"][:-1] == before["rules"]
    rollout = {"percent": 12500, "bucket_by": "account", "group": "autumn"}
    assert joined["rules"][-1] == {"id": "release.autumn.share", "rollout": rollout, "serve": {"variant": "on"}}
    named = (await scene.configuration())["rules"][0]["when"]
    assert named == {"any": [{"segment": "staff"}, {"segment": "nordic-customers"}]}


async def test_all_flags_of_a_step_change_or_none(scene: Scene) -> None:
    """The second flag cannot be changed, so the first is not either; nothing is half done, and people are told why."""
    await scene.made(
        steps=[{"audience": "internal", "advance": {"after": "1h"}}, {"audience": {"segment": "beta-testers"}}]
    )
    await scene.told("go")
    rules = [{"id": f"rule-{number}", "serve": {"variant": "off"}} for number in range(99)]
    plus = scene.stage.flag("recommendations-plus", "production")
    await scene.stage.patched(plus, {"rules": [*rules, *(await scene.stage.got(plus))["rules"]]})
    await scene.told("hold")
    await scene.told("resume", {"force": True})
    before = await scene.configuration()

    first = {"audience": "internal", "advance": {"after": "1h"}}
    await scene.stage.patched(scene.path(), {"steps": [first, {"audience": {"percent": 5}}]})
    held = await scene.goes_on()

    assert (held["state"], held["step"], held["hold"]["code"]) == ("held", 1, "limit_exceeded")
    assert await scene.configuration() == before
    assert [one["action"] for one in await scene.events("step")] == ["release.step"]


async def test_what_is_in_the_way_at_the_start_is_said(scene: Scene) -> None:
    """Rules that would light a flag beside the release, no internal segment, a variant that has become the dark one."""
    await scene.made()
    flag = scene.stage.flag("express-delivery", "production")
    await scene.stage.patched(
        flag, {"rules": [{"id": "mine", "when": {"segment": "staff"}, "serve": {"variant": "on"}}]}
    )
    assert await scene.refused("go") == (409, "rules_in_the_way")
    await scene.stage.patched(flag, {"rules": []})
    await scene.admin.put(f"{scene.stage.project}/release-settings", json={"internal_segment": None})
    assert await scene.refused("go") == (409, "no_internal_segment")
    await scene.admin.put(f"{scene.stage.project}/release-settings", json={"internal_segment": "staff"})
    await scene.stage.patched(flag, {"off_variant": "on"})
    assert await scene.refused("go") == (409, "variant_is_dark")
    assert (await scene.read())["state"] == "draft"


async def test_a_preview_shows_every_flag_and_changes_none(scene: Scene) -> None:
    """A dry run of go lists the differences by flag."""
    await scene.made()

    reply = await scene.admin.post(f"{scene.path()}/go?dry_run=true", json={})

    paths = [change["path"] for change in reply.json()["changes"]]
    assert reply.json()["result"]["step"] == 1
    assert {"/state", "/step", "/flags/express-delivery/enabled", "/flags/recommendations-plus/rules"} <= set(paths)
    assert (await scene.read())["state"] == "draft"
    assert not (await scene.configuration())["enabled"]


async def test_going_on_by_hand_takes_the_next_step_whatever_the_time(scene: Scene) -> None:
    """One at a time, the last one finishes; a repeated key takes none."""
    await scene.made()
    keyed = {"Idempotency-Key": "one"}

    first = await scene.admin.post(f"{scene.path()}/go", json={}, headers=keyed)
    again = await scene.admin.post(f"{scene.path()}/go", json={}, headers=keyed)

    assert first.json() == again.json()
    for number in (2, 3, 4):
        assert (await scene.told("go"))["step"] == number
    assert (await scene.read())["state"] == "finished"
    assert await scene.refused("go") == (409, "release_state")


async def test_the_last_step_is_watched_before_it_is_over(scene: Scene) -> None:
    """With `advance`, the release is finished only when that is true."""
    await scene.made(steps=[{"audience": "everyone", "advance": {"after": "1h"}}])

    assert (await scene.told("go"))["state"] == "running"
    assert (await scene.goes_on())["state"] == "finished"
    assert [one["action"] for one in (await scene.events())[-2:]] == ["release.step", "release.finished"]


async def test_two_flags_are_not_in_two_releases(scene: Scene) -> None:
    """Until the first is over; in another environment they are."""
    await scene.made()
    second = {**PLAN, "key": "winter", "flags": [{"flag": "gift-cards"}, {"flag": "express-delivery"}]}

    refused = await scene.admin.post(scene.releases, json=second)
    assert (refused.status_code, refused.json()["code"]) == (409, "flag_in_release")
    await scene.made(key="winter", flags=[{"flag": "gift-cards"}])
    refused = await scene.admin.patch(scene.path("winter"), json={"flags": second["flags"]}, headers={"If-Match": "*"})
    assert (refused.status_code, refused.json()["code"]) == (409, "flag_in_release")
    await scene.made(key="staged", environment="staging")
    await scene.told("go")
    await scene.told("abort")
    await scene.stage.patched(scene.path("winter"), {"flags": second["flags"]})
