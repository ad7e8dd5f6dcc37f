"""Decisions: made from what is known, kept with it, and never an allow by absence."""

from typing import Any

import pytest
from tests.api.decisions.conftest import Deciding, found, policy_of, question
from tests.api.releases.conftest import commit_of, digest_of, done, moments_ago

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_without_a_policy_nothing_is_allowed(deciding: Deciding) -> None:
    """No policy is no permission, however green the build is."""
    await deciding.green()

    decision = await deciding.asked()

    assert decision["decision"] == "deny"
    assert [rule["code"] for rule in decision["rules"]] == ["policy.none"]


@pytest.mark.parametrize(
    ("unknown", "code"),
    [
        ({"service": "unheard-of"}, "policy.none"),
        ({"service": "unheard-of", "action": "release", "flag": "new", "audience": "all"}, "policy.none"),
        ({"environment": "the-moon"}, "policy.none"),
        ({"action": "teleport"}, "policy.none"),
        ({"digest": digest_of(404)}, "digest.unknown"),
    ],
)
async def test_what_nobody_knows_is_denied(deciding: Deciding, unknown: dict[str, str], code: str) -> None:
    """An unknown service, environment, action or digest is decided, never allowed, and replays."""
    await deciding.ruled_by()
    await deciding.green()

    decision = await deciding.asked(1, **unknown)

    assert decision["decision"] == "deny", decision
    assert {rule["code"] for rule in decision["rules"]} >= {code}
    assert done(await deciding.pipeline.post(f"{deciding.decisions}/{decision['id']}/replay"))["same"] is True


async def test_an_action_that_nobody_knows_is_denied_and_kept(deciding: Deciding) -> None:
    """It needs no digest to be denied, is read, listed and replayed, and its event has a type that is known."""
    await deciding.ruled_by()
    asked = {"action": "teleport", "service": "web", "environment": "production"}

    decision = done(await deciding.pipeline.post(deciding.decisions, json=asked))

    path = f"{deciding.decisions}/{decision['id']}"
    assert (decision["decision"], found(decision, "_policy")) == ("deny", ("fail", "policy.none"))
    assert done(await deciding.pipeline.get(path)) == decision
    assert done(await deciding.pipeline.post(f"{path}/replay"))["same"] is True
    listed = done(await deciding.pipeline.get(deciding.decisions, params={"action": "teleport"}))["items"]
    assert [one["id"] for one in listed] == [decision["id"]]
    (event,) = done(await deciding.author.get(f"{deciding.project}/audit", params={"action": "decision.unknown"}))[
        "items"
    ]
    assert event["changes"][0]["to"]["action"] == "teleport"


@pytest.mark.parametrize("action", ["", "Deploy", "de ploy", "9lives", "a" * 41, None, 7])
async def test_what_cannot_be_an_action_is_refused(deciding: Deciding, action: Any) -> None:
    """A text that is no key is a mistake of form, and nothing is decided."""
    refused = await deciding.pipeline.post(deciding.decisions, json=question(action=action))

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/action"


async def test_evidence_turns_wait_into_allow_and_a_later_red_run_into_deny(deciding: Deciding) -> None:
    """The same question, asked as evidence comes in."""
    await deciding.ruled_by()
    await deciding.releases.built(1)
    waits = await deciding.asked()
    await deciding.releases.checked(1, suite="unit", counts={"total": 3, "passed": 3})
    allowed = await deciding.asked()
    counts = {"total": 3, "passed": 2, "failed": 1}
    now = moments_ago(seconds=1)
    await deciding.releases.checked(
        1, suite="unit", outcome="fail", counts=counts, run={"id": "later"}, finished_at=now
    )
    denied = await deciding.asked()

    assert [one["decision"] for one in (waits, allowed, denied)] == ["wait", "allow", "deny"]
    assert found(waits, "tested") == ("pending", "evidence.missing")
    assert found(denied, "tested") == ("fail", "evidence.failed")
    assert waits["as_of"]["seq"] < allowed["as_of"]["seq"] < denied["as_of"]["seq"]
    assert allowed["expires_at"] is not None


async def test_a_decision_is_read_as_it_was_given_and_replays_to_the_same_bytes(deciding: Deciding) -> None:
    """Whatever happened since, what was decided stays, and its facts give it again."""
    version = await deciding.ruled_by()
    await deciding.green()
    given = await deciding.asked()
    await deciding.releases.said("obstacles", {"text": "the lift is stuck"})
    assert (await deciding.asked())["decision"] != "allow"

    read = done(await deciding.pipeline.get(f"{deciding.decisions}/{given['id']}"))
    replayed = done(await deciding.pipeline.post(f"{deciding.decisions}/{given['id']}/replay"))

    assert read == given
    assert (replayed["same"], replayed["why"]) == (True, None)
    assert replayed["decision"] == {**given, "simulated": True}
    assert given["policy"]["digest"] == done(await deciding.pipeline.get(version))["digest"]


async def test_asking_twice_on_the_same_facts_gives_the_same_findings(deciding: Deciding) -> None:
    """Only the id and what depends on the moment differ."""
    await deciding.ruled_by()
    await deciding.green()

    one, other = await deciding.asked(), await deciding.asked()

    assert one["id"] != other["id"]
    assert one["rules"] == other["rules"]


async def test_an_idempotency_key_gives_one_decision(deciding: Deciding) -> None:
    """A repeated request is answered with the first answer, and nothing is decided again."""
    await deciding.ruled_by()
    await deciding.green()
    headers = {"Idempotency-Key": "run-7"}

    first = await deciding.pipeline.post(deciding.decisions, json=question(), headers=headers)
    await deciding.releases.said("obstacles", {"text": "in between"})
    again = await deciding.pipeline.post(deciding.decisions, json=question(), headers=headers)

    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(done(await deciding.pipeline.get(deciding.decisions))["items"]) == 1


async def test_every_decision_has_its_audit_event(deciding: Deciding) -> None:
    """Allowed or not, each decision is one event that names it."""
    await deciding.ruled_by()
    decisions = [await deciding.asked(), await deciding.asked(2)]

    events = done(await deciding.author.get(f"{deciding.project}/audit", params={"action": "decision.deploy"}))

    targets = {event["target"].rpartition("/")[2] for event in events["items"]}
    assert targets == {one["id"] for one in decisions}


async def test_a_commit_names_its_one_build(deciding: Deciding) -> None:
    """One build of the commit is meant; that it has two, or none, is a denial that is kept and replays."""
    await deciding.ruled_by()
    await deciding.green()

    by_commit = await deciding.asked(commit=commit_of(1))
    await deciding.releases.built(2, commit=commit_of(1))
    ambiguous = await deciding.asked(commit=commit_of(1))
    unknown = await deciding.asked(commit=commit_of(99))

    assert (by_commit["decision"], by_commit["subject"]["digest"]) == ("allow", digest_of(1))
    assert [one["decision"] for one in (ambiguous, unknown)] == ["deny", "deny"]
    assert [found(one, "_subject")[1] for one in (ambiguous, unknown)] == ["digest.ambiguous", "digest.unknown"]
    assert ambiguous["subject"] == {"service": "web", "commit": commit_of(1)}
    for one in (ambiguous, unknown):
        assert done(await deciding.pipeline.post(f"{deciding.decisions}/{one['id']}/replay"))["same"] is True


@pytest.mark.parametrize(
    ("action", "member"), [("deploy", "digest"), ("rollback", "digest"), ("release", "flag"), ("darken", "flag")]
)
async def test_a_question_names_what_it_is_about(deciding: Deciding, action: str, member: str) -> None:
    """What the action needs and the question lacks is a 400 that names it."""
    asked = {"action": action, "service": "web", "environment": "production"}

    refused = await deciding.pipeline.post(deciding.decisions, json=asked)

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == f"/{member}"


async def test_darkening_is_always_allowed(deciding: Deciding) -> None:
    """The kill switch needs no policy and no approval, and is logged."""
    asked = {"action": "darken", "service": "web", "environment": "production", "flag": "new-checkout"}

    decision = done(await deciding.pipeline.post(deciding.decisions, json=asked))

    assert decision["decision"] == "allow"
    assert done(await deciding.pipeline.get(deciding.decisions))["items"][0]["action"] == "darken"


async def test_an_approval_counts_for_who_may_give_it(deciding: Deciding) -> None:
    """A person of the role lets it through; a rejection of another one stops it until withdrawn."""
    await deciding.ruled_by({"id": "go", "kind": "approval", "actions": ["deploy"], "role": "product"})
    await deciding.green()
    word = {"verdict": "approve", "action": "deploy", "environment": "production", "digest": digest_of(1)}
    missing = await deciding.asked()
    await deciding.releases.said("approvals", word, deciding.activator)
    approved = await deciding.asked()
    other = await deciding.releases.person("manager", "product")
    await deciding.releases.said("approvals", {**word, "verdict": "reject", "reason": "not yet"}, other)
    rejected = await deciding.asked()

    assert found(missing, "go") == ("pending", "approval.missing")
    assert missing["next"]
    assert approved["decision"] == "allow"
    assert found(rejected, "go")[1] == "approval.rejected"
    assert rejected["decision"] == "deny"


async def test_simulating_looks_at_another_time_mode_and_policy_and_keeps_nothing(deciding: Deciding) -> None:
    """Christmas is frozen, deployment mode drops the approval, and a document need not be stored."""
    go = {"id": "go", "kind": "approval", "modes": ["delivery"], "actions": ["deploy"], "role": "product"}
    await deciding.ruled_by(
        go,
        {"id": "calm", "kind": "calendar", "actions": ["deploy"], "use": ["xmas"]},
        calendars={"xmas": {"type": "freeze", "from": "2027-12-24T00:00", "to": "2027-12-27T00:00"}},
        suites={"unit": {"kind": "test.unit"}},
    )
    await deciding.green()
    simulate = f"{deciding.decisions}/simulate"

    now = done(await deciding.pipeline.post(simulate, json=question(mode="deployment")))
    xmas = question(mode="deployment", at="2027-12-25T12:00:00Z")
    then = done(await deciding.pipeline.post(simulate, json=xmas))
    other = done(await deciding.pipeline.post(simulate, json=question(document=policy_of(name="other"))))

    assert (now["decision"], now["simulated"], now["id"]) == ("allow", True, None)
    assert found(then, "calm") == ("pending", "calendar.frozen")
    assert then["retry_at"] == "2027-12-26T23:00:00.000Z"
    assert (other["decision"], other["policy"]["name"]) == ("allow", "other")
    assert done(await deciding.pipeline.get(deciding.decisions))["items"] == []


async def test_a_limited_token_sees_and_asks_about_its_own_environments(deciding: Deciding) -> None:
    """Decisions about other environments do not exist for it, and it cannot ask for one."""
    await deciding.ruled_by()
    hidden = await deciding.asked()
    limited = await deciding.releases.stage.bearing("pipeline", environments=["staging"])

    asked = await limited.post(deciding.decisions, json=question())
    read = await limited.get(f"{deciding.decisions}/{hidden['id']}")

    assert (asked.status_code, asked.json()["errors"][0]["pointer"]) == (400, "/environment")
    assert read.status_code == 404
    assert done(await limited.get(deciding.decisions))["items"] == []


async def test_another_project_is_not_asked_about(deciding: Deciding) -> None:
    """A pipeline of one project gets no decision of another one."""
    stranger = await deciding.releases.stage.bearing("pipeline", projects=["other"])

    assert (await stranger.post(deciding.decisions, json=question())).status_code == 404


async def test_decisions_are_listed_newest_first_page_by_page(deciding: Deciding) -> None:
    """All of them once, filtered by what they said."""
    await deciding.ruled_by()
    await deciding.green()
    given = [(await deciding.asked(number))["id"] for number in (1, 2, 1, 2, 1)]

    seen, cursor = [], None
    while True:
        params = {"limit": 2, **({} if cursor is None else {"cursor": cursor})}
        page = done(await deciding.pipeline.get(deciding.decisions, params=params))
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    allowed = done(await deciding.pipeline.get(deciding.decisions, params={"verdict": "allow"}))["items"]

    assert seen == given[::-1]
    assert [one["id"] for one in allowed] == [given[4], given[2], given[0]]
