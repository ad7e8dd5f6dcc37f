"""Others agreed, and the release policy is asked all the same."""

import pytest
from tests.api.change_requests.conftest import DARK, LIT, Eyes, done, refused
from tests.api.decisions.conftest import policy_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def ruled(eyes: Eyes) -> None:
    """A policy is in force that wants proof of what is released."""
    path = f"{eyes.stage.project}/policies"
    made = done(await eyes.ada.post(path, json=policy_of()))
    done(await eyes.bo.post(f"{path}/{made['name']}/versions/{made['version']}/activate", json={}))


async def test_what_a_policy_refuses_stays_approved(eyes: Eyes) -> None:
    """Nothing of it is done, and the request shows why, with the decision that is kept."""
    await ruled(eyes)
    path = await eyes.agreed({"op": "disable", "flag": LIT}, {"op": "enable", "flag": DARK})

    problem = (await eyes.admin.post(f"{path}/apply")).json()

    assert problem["code"] in ("release_denied", "release_waits")
    found = await eyes.read(path)
    assert (found["state"], found["held"]["code"]) == ("approved", problem["code"])
    assert (await eyes.serves(DARK))["enabled"] is False
    assert (await eyes.serves(LIT))["enabled"] is True
    kept = done(await eyes.admin.get(f"{eyes.stage.project}/decisions/{found['held']['decision']}"))
    assert (kept["decision"] != "allow", kept["subject"]["flag"]) == (True, DARK)
    assert [len(await eyes.events(f"change_request.{one}")) for one in ("held", "applied")] == [1, 0]


async def test_a_policy_is_asked_about_all_of_it_at_once(eyes: Eyes) -> None:
    """Where it only observes, its decisions on every change are kept, one each, and the changes are made."""
    await ruled(eyes)
    gate = f"{eyes.production}/release-gate"
    done(await eyes.admin.put(gate, json={"mode": "observe"}, headers={"If-Match": "*"}))
    rollout = {"op": "rollout", "flag": LIT, "rollout": {"percent": 90}}
    path = await eyes.agreed({"op": "enable", "flag": DARK}, rollout)

    done(await eyes.admin.post(f"{path}/apply"))

    kept = (await eyes.stage.got(f"{eyes.stage.project}/decisions"))["items"]
    assert {one["action"] for one in kept} == {"release"}
    assert len({one["subject"] for one in kept}) == len(kept) == 2


async def test_who_goes_alone_is_told_of_the_others_first(eyes: Eyes) -> None:
    """No decision is made on what nobody may do alone."""
    await ruled(eyes)
    refused(await eyes.admin.post(f"{eyes.stage.flag(DARK, 'production')}/enable"), 409, "approval_required")
    assert (await eyes.stage.got(f"{eyes.stage.project}/decisions"))["items"] == []
