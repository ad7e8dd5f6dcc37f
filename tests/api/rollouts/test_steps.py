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
