"""Readiness reports: what the builds of a service would have done by themselves."""

from typing import Any

import pytest
from tests.api.decisions.conftest import Deciding, question
from tests.api.readiness.conftest import criteria, kept, report, went_out
from tests.api.releases.conftest import digest_of, done, moments_ago

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_builds_that_pass_are_ready_by_themselves(deciding: Deciding) -> None:
    """Twenty builds that were green and went out make a service that can be switched."""
    await deciding.ruled_by()
    await went_out(deciding, range(1, 21))

    found = await report(deciding)

    assert found["counts"]["auto_ready"] == 20
    assert found["is_flippable"] is True, found["criteria"]
    newest = found["builds"][0]
    assert (newest["digest"], newest["outcome"], newest["held"]) == (digest_of(20), "auto_ready", [])
    assert newest["ready_at"] <= newest["would_go_at"] <= newest["live_at"]
    assert found["policy"]["name"] == "web"
    assert criteria(found)["permit_to_live_p95_ms"][1]


async def test_too_few_builds_are_nothing_to_rely_on(deciding: Deciding) -> None:
    """All of three went by themselves, and that is not enough."""
    await deciding.ruled_by()
    await went_out(deciding, range(1, 4))

    found = await report(deciding)

    assert criteria(found)["auto_ready_percent"] == (100, True)
    assert criteria(found)["builds"] == (3, False)
    assert found["is_flippable"] is False


async def test_without_a_policy_nothing_can_be_replayed(deciding: Deciding) -> None:
    """The report says so, and that the service is not ready."""
    await went_out(deciding, range(1, 3))

    found = await report(deciding)

    assert (found["is_flippable"], found["builds"], found["policy"]) == (False, [], None)
    assert criteria(found) == {"policy": (0, False)}


async def test_a_rejection_after_all_was_green_is_false_ready(deciding: Deciding) -> None:
    """Green, then a red rerun, then somebody rejects: by itself it would have gone at the first green."""
    await deciding.ruled_by()
    await went_out(deciding, range(1, 2), is_live=False)
    counts = {"total": 3, "passed": 2, "failed": 1}
    await deciding.releases.checked(1, suite="unit", outcome="fail", counts=counts, run={"id": "again"})
    word = {"verdict": "reject", "action": "deploy", "environment": "production", "digest": digest_of(1)}
    await deciding.releases.said("approvals", {**word, "reason": "it is red"}, deciding.activator)

    (build,) = (await report(deciding))["builds"]

    assert build["outcome"] == "false_ready"
    assert build["would_go_at"] == build["ready_at"] is not None
    assert [wrong["what"] for wrong in build["wrong"]] == ["rejected"]
    assert build["live_at"] is None


@pytest.mark.parametrize(("environment", "outcome"), [("production", "false_ready"), ("staging", "auto_ready")])
async def test_an_incident_counts_where_it_burns(deciding: Deciding, environment: str, outcome: str) -> None:
    """One in production with the build live; one in staging is none of it."""
    await deciding.ruled_by()
    await went_out(deciding, range(1, 2))
    await deciding.releases.said("incidents", {"text": "smoke", "environment": environment})

    (build,) = (await report(deciding))["builds"]

    assert build["outcome"] == outcome


async def test_what_a_person_tested_is_manual(deciding: Deciding) -> None:
    """Evidence that somebody sends is theirs; the machine had none."""
    await deciding.ruled_by()
    await deciding.releases.built(1)
    evidence = {
        "kind": "test.unit",
        "suite": "unit",
        "subject": {"digest": digest_of(1)},
        "outcome": "pass",
        "counts": {"total": 1, "passed": 1},
        "run": {"id": "by hand"},
        "finished_at": moments_ago(seconds=1),
    }
    done(await deciding.author.post(deciding.releases.evidence, json=evidence))

    found = await report(deciding)

    (build,) = found["builds"]
    assert (build["outcome"], build["held"][0]["code"]) == ("manual_evidence", "evidence.missing")
    assert criteria(found)["manual_evidence"] == (1, False)


async def test_missing_evidence_is_named_and_ranked(deciding: Deciding) -> None:
    """What most builds lacked comes first."""
    await deciding.ruled_by({"id": "scanned", "kind": "evidence", "actions": ["deploy"], "evidence": "test.security"})
    await went_out(deciding, range(1, 4), is_live=False)
    await deciding.releases.checked(3, "test.security")
    await deciding.releases.said("obstacles", {"text": "the lift is stuck"})
    await deciding.releases.built(4, parent=digest_of(3))

    found = await report(deciding)

    assert found["counts"]["blocked_evidence"] == 3
    assert [(one["rule"], one["builds"]) for one in found["in_the_way"]] == [("scanned", 3), ("tested", 1)]
    assert found["in_the_way"][0]["codes"] == {"evidence.missing": 3}


async def test_a_freeze_blocks_by_the_calendar(deciding: Deciding) -> None:
    """Everything is green, and the freeze lasts."""
    await deciding.ruled_by(
        {"id": "calm", "kind": "calendar", "actions": ["deploy"], "use": ["winter"]},
        calendars={"winter": {"type": "freeze", "from": "2020-01-01T00:00", "to": "2040-01-01T00:00"}},
    )
    await went_out(deciding, range(1, 2), is_live=False)

    (build,) = (await report(deciding))["builds"]

    assert (build["outcome"], build["held"][0]["code"]) == ("blocked_calendar", "calendar.frozen")
    assert build["ready_at"] is not None


async def test_flags_are_looked_at_as_they_were_then(deciding: Deciding) -> None:
    """Lit when the build was ready, though dark now: blocked. Dark then, though lit now: it would have gone."""
    dark = {"id": "dark", "kind": "flags_dark", "actions": ["deploy"], "missing_flag": "deny"}
    await deciding.ruled_by({**dark, "unfinished_stories": "must_be_dark"})
    await deciding.gate("observe")
    stage = deciding.releases.stage
    await stage.made("lit-then", stories=["SHOP-901"])
    await stage.made("dark-then", stories=["SHOP-902"])
    lit, other = stage.flag("lit-then", "production"), stage.flag("dark-then", "production")
    done(await stage.admin.post(f"{lit}/enable"))
    await went_out(deciding, range(1, 2), story="SHOP-901", is_live=False)
    await deciding.releases.built(2, stories=["SHOP-902"])
    await deciding.releases.checked(2, suite="unit", counts={"total": 3, "passed": 3})
    done(await stage.admin.post(f"{lit}/disable"))
    done(await stage.admin.post(f"{other}/enable"))

    newer, older = (await report(deciding))["builds"]

    assert (older["outcome"], older["held"][0]["code"]) == ("blocked_unfinished_not_dark", "flag.not_dark")
    assert (newer["outcome"], newer["held"]) == ("auto_ready", [])


async def test_the_first_build_of_all_brings_everything_in_it(deciding: Deciding) -> None:
    """Nothing was live before it, so its stories are new, also where every other build has grown from it."""
    dark = {"id": "dark", "kind": "flags_dark", "actions": ["deploy"], "missing_flag": "deny"}
    await deciding.ruled_by({**dark, "unfinished_stories": "must_be_dark"})
    await deciding.gate("observe")
    stage = deciding.releases.stage
    await stage.made("lit", stories=["SHOP-904"])
    done(await stage.admin.post(f"{stage.flag('lit', 'production')}/enable"))
    await went_out(deciding, range(1, 2), story="SHOP-904")
    await went_out(deciding, range(2, 4))

    found = (await report(deciding))["builds"]

    assert [one["outcome"] for one in found] == ["auto_ready", "auto_ready", "blocked_unfinished_not_dark"]


async def test_a_flag_that_nobody_can_tell_of_is_not_dark(deciding: Deciding) -> None:
    """It was deleted since, so how it stood is gone, and the build is not counted as ready."""
    dark = {"id": "dark", "kind": "flags_dark", "actions": ["deploy"], "missing_flag": "deny"}
    await deciding.ruled_by({**dark, "unfinished_stories": "must_be_dark"})
    stage = deciding.releases.stage
    await stage.made("gone")
    done(await stage.admin.put(f"{deciding.project}/stories/SHOP-903", json={"title": "", "flags": ["gone"]}))
    await went_out(deciding, range(1, 2), story="SHOP-903")
    done(await stage.admin.post(f"{stage.flag('gone')}/archive"))
    assert (await stage.admin.delete(stage.flag("gone"), headers={"If-Match": "*"})).status_code == 204

    (build,) = (await report(deciding))["builds"]

    assert (build["outcome"], build["held"][0]["code"]) == ("blocked_unfinished_not_dark", "flag.unknown")


async def test_the_replay_ends_as_a_decision_does(deciding: Deciding) -> None:
    """Of a build that still waits, what stands in its way is what a decision in deployment mode finds now."""
    approved = {"id": "go", "kind": "approval", "actions": ["deploy"], "role": "product"}
    await deciding.ruled_by(approved, {"id": "line", "kind": "order", "actions": ["deploy"]})
    await went_out(deciding, range(1, 3), is_live=False)
    await deciding.releases.said("obstacles", {"text": "the lift is stuck"})

    build = (await report(deciding))["builds"][0]
    asked = question(2, mode="deployment")
    decision = done(await deciding.pipeline.post(f"{deciding.decisions}/simulate", json=asked))

    blocking = {rule["id"]: rule["code"] for rule in decision["rules"] if rule["outcome"] in ("pending", "fail")}
    assert {held["rule"]: held["code"] for held in build["held"]} == blocking
    assert build["outcome"] == "blocked_other"


async def test_an_unsanctioned_deployment_is_no_readiness(deciding: Deciding) -> None:
    """The obstacle that it opened counts, closed or not."""
    await deciding.ruled_by()
    await went_out(deciding, range(1, 2))
    where = {"service": "web", "environment": "production"}
    obstacle = await deciding.releases.said("obstacles", {"text": "by hand", "kind": "unsanctioned", **where})
    done(await deciding.releases.admin.post(f"{deciding.project}/obstacles/{obstacle['id']}/close", json={}))

    assert criteria(await report(deciding))["unsanctioned_deployments"] == (1, False)


async def test_a_report_that_is_kept_stays_as_it_was(deciding: Deciding) -> None:
    """It has an id and a date, is audited, and does not change with what happens since."""
    await deciding.ruled_by()
    await went_out(deciding, range(1, 3))

    made = await kept(deciding, builds=30, thresholds={"auto_ready_percent": 80})
    await went_out(deciding, range(3, 5))
    read = done(await deciding.pipeline.get(f"{deciding.project}/readiness/{made['id']}"))
    events = done(await deciding.author.get(f"{deciding.project}/audit", params={"action": "readiness.report"}))

    assert read == made
    assert (len(read["builds"]), read["thresholds"]["auto_ready_percent"]) == (2, 80)
    assert [event["target"] for event in events["items"]] == [f"{deciding.project}/readiness/{made['id']}"]


async def test_a_report_of_a_hidden_environment_does_not_exist(deciding: Deciding) -> None:
    """Neither to read nor to compute, for a token that is limited to others."""
    await deciding.ruled_by()
    await went_out(deciding, range(1, 2))
    made = await kept(deciding)
    limited = await deciding.releases.stage.bearing("pipeline", environments=["staging"])

    read = await limited.get(f"{deciding.project}/readiness/{made['id']}")
    computed = await limited.get(f"{deciding.project}/services/web/readiness", params={"environment": "production"})

    assert (read.status_code, computed.status_code) == (404, 400)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({}, "environment"),
        ({"environment": "the-moon"}, "environment"),
        ({"environment": "production", "builds": "19"}, "builds"),
        ({"environment": "production", "builds": "201"}, "builds"),
        ({"environment": "production", "auto_ready_percent": "0"}, "auto_ready_percent"),
        ({"environment": "production", "budget_s": "ten"}, "budget_s"),
    ],
)
async def test_what_cannot_be_asked_is_named(deciding: Deciding, query: dict[str, Any], named: str) -> None:
    """A 400 that names the parameter and its limits."""
    refused = await deciding.pipeline.get(f"{deciding.project}/services/web/readiness", params=query)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, named)
