"""Approvals and the separation of duties, vetoes and obstacles."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.policy.situations import DAY, HOUR, NOW, asking, changed, codes, decided, facts, green, with_rules

from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.facts import Approval, Commit, Obstacle, Scope, Subject, Veto, Waiver
from greenroom_server.policy.fixtures import FLAG, LIVE, NEW, NEW_COMMIT, OLD_COMMIT, STORY, Situation
from greenroom_server.policy.people import People, normalised_name

YES = Approval("a1", "approve", "deploy", "production", "pat@example.com", ("product",), NOW - HOUR, 1, digest=NEW)


def rule(**members: Any) -> Policy:
    return with_rules({"kind": "approval", "role": "product", **members})


def approved(*approvals: Approval, **members: Any) -> Situation:
    return facts(green(), approvals=approvals, **members)


def said(situation: Situation, under: Policy) -> tuple[str, str | None]:
    decision = decided(situation, under)
    return decision.verdict, codes(decision).get("approval")


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, None),
        ({"digest": LIVE}, "approval.missing"),
        ({"digest": None}, "approval.missing"),
        ({"environment": "staging"}, "approval.missing"),
        ({"action": "switch"}, "approval.missing"),
        ({"roles": ("customer",)}, "approval.missing"),
        ({"roles": ("customer", "product")}, None),
        ({"withdrawn_at": NOW}, "approval.missing"),
        ({"person": "gone@example.com"}, "approval.inactive"),
        ({"person": "old-name"}, "approval.inactive"),
        ({"person": "robot", "on_behalf_of": "gone@example.com"}, "approval.inactive"),
    ],
)
def test_approval(members: dict[str, Any], code: str | None) -> None:
    """It counts for exactly what it names, given in the role, by somebody whose account is active."""
    situation = approved(
        replace(YES, **members),
        inactive_people=frozenset(["Gone@example.com"]),
        aliases={"old-name": "gone@example.com"},
    )

    assert said(situation, rule()) == ("allow" if code is None else "wait", code)


@pytest.mark.parametrize(("age", "code"), [(DAY - 1, None), (DAY, "approval.expired")])
def test_ttl(age: int, code: str | None) -> None:
    """It counts until it is as old as the rule allows; of several of one person, the latest does."""
    old = replace(YES, at=NOW - age)
    older = replace(YES, id="a0", at=NOW - 9 * DAY)

    decision = decided(approved(old, older), rule(ttl="24h"))

    assert codes(decision) == ({} if code is None else {"approval": code})
    assert decision.expires_at == (NOW + 1 if code is None else None)


def test_rejection_of_anybody() -> None:
    """It wins over any number of approvals, until its author withdraws it; an approval of theirs is not enough."""
    no = replace(YES, id="a2", verdict="reject", person="max@example.com", roles=("security",), reason="too risky")
    yes = replace(YES, id="a3", person="max@example.com")

    assert said(approved(YES, no, yes), rule()) == ("deny", "approval.rejected")
    assert said(approved(YES, replace(no, withdrawn_at=NOW)), rule()) == ("allow", None)


@pytest.mark.parametrize(
    ("person", "distinct", "code"),
    [
        ("ada@example.com", ["author"], "approval.not_independent"),
        ("Ada Lovelace <ADA@example.com>", ["author"], "approval.not_independent"),
        ("ada@example.com", ["requester"], None),
        ("release-bot@example.com", ["requester"], "approval.not_independent"),
        ("grace@example.com", ["author"], None),
        ("trigger@example.com", ["author"], "approval.not_independent"),
        ("tester@example.com", ["author"], "approval.not_independent"),
        ("tester@example.com", ["evidence_producer"], "approval.not_independent"),
        ("unit-tester@example.com", ["evidence_producer"], "approval.not_independent"),
        ("old-tester@example.com", ["evidence_producer"], None),
        ("ada@example.com", ["evidence_producer"], None),
        ("nick", ["author"], "approval.not_independent"),
    ],
)
def test_independence(person: str, distinct: list[str], code: str | None) -> None:
    """Authors of what is new, who triggered the build, who produced evidence for it, and who asks."""
    situation = green()
    evidence = situation.snapshot.evidence
    for name, producer in (("component", "tester@example.com"), ("unit", "unit-tester@example.com")):
        evidence = changed(evidence, name, producer=producer)
    old = replace(evidence[0], id="old", subject=Subject(digest=LIVE), producer="old-tester@example.com")
    builds = changed(situation.snapshot.builds, "build-b", triggered_by="trigger@example.com")
    members = {"evidence": (*evidence, old), "builds": builds, "aliases": {"nick": "ada@example.com"}}

    approval = replace(YES, person=person)

    assert said(approved(approval, **members), rule(distinct_from=distinct)) == (
        "allow" if code is None else "wait",
        code,
    )


def test_everybody_is_an_author_where_nobody_knows_what_is_live() -> None:
    """Without a known build in production, all commits are new."""
    situation = approved(replace(YES, person="grace@example.com"))
    unknown = changed(situation.snapshot.deployments, "production-blue-aa", digest="sha256:" + "00" * 32)

    decision = decided(facts(situation, deployments=unknown), rule(distinct_from=["author"]))

    assert codes(decision) == {"approval": "approval.not_independent"}


def test_release_is_bound_to_flag_and_audience() -> None:
    """An approval of another flag, another audience, or another build says nothing."""
    policy = with_rules({"kind": "approval", "role": "product", "actions": ["release"], "distinct_from": ["author"]})
    yes = replace(YES, action="release", digest=None, flag=FLAG, audience="everybody")

    def verdict(**members: Any) -> str:
        return decided(facts(green("release"), approvals=(replace(yes, **members),)), policy).verdict

    assert (verdict(), verdict(digest=NEW)) == ("allow", "allow")
    assert {verdict(flag="other"), verdict(flag=None), verdict(audience=None), verdict(digest=LIVE)} == {"wait"}


def test_authors_of_a_released_story() -> None:
    """Who worked on the flag's stories is not independent; who wrote other commits of the live build is."""
    policy = with_rules({"kind": "approval", "role": "product", "actions": ["release"], "distinct_from": ["author"]})

    def verdict(person: str, **members: Any) -> str:
        yes = replace(YES, action="release", digest=None, flag=FLAG, audience="everybody", person=person)
        return decided(facts(green("release"), approvals=(yes,), **members), policy).verdict

    assert (verdict("ada@example.com"), verdict("grace@example.com")) == ("wait", "allow")
    assert verdict("grace@example.com", stories=()) == "wait"


TWO = with_rules(
    {"id": "product", "kind": "approval", "role": "product", "ttl": "24h"},
    {"id": "security", "kind": "approval", "role": "security"},
)
BOTH = ("product", "security")


@pytest.mark.parametrize(
    ("people", "missing"),
    [
        ({"ann": BOTH}, {"security": "approval.shared"}),
        ({"ann": BOTH, "bob": ("product",)}, {}),
        ({"ann": BOTH, "bob": ("security",)}, {}),
        ({"ann": ("product",), "bob": ("product",)}, {"security": "approval.missing"}),
        ({"ann": BOTH, "ANN": BOTH}, {"security": "approval.shared"}),
    ],
)
def test_one_person_fills_one_place(people: dict[str, tuple[str, ...]], missing: dict[str, str]) -> None:
    """Whoever can serve two rules serves the one for which there is nobody else."""
    approvals = tuple(replace(YES, id=name, person=name, roles=roles) for name, roles in people.items())

    assert codes(decided(approved(*approvals), TWO)) == missing


def test_reuse_person() -> None:
    """A rule that allows it takes persons who count elsewhere."""
    policy = with_rules(
        {"id": "product", "kind": "approval", "role": "product"},
        {"id": "security", "kind": "approval", "role": "security", "reuse_person": True},
    )

    assert decided(approved(replace(YES, roles=BOTH)), policy).verdict == "allow"


def test_three_rules_and_three_people() -> None:
    """Everybody is found a place if there is a way at all."""
    policy = with_rules(*({"id": role, "kind": "approval", "role": role} for role in ("a", "b", "c")))
    roles = {"x": ("a", "b", "c"), "y": ("a", "b"), "z": ("a",)}
    approvals = tuple(replace(YES, id=name, person=name, roles=held) for name, held in roles.items())

    assert decided(approved(*approvals), policy).verdict == "allow"
    assert codes(decided(approved(*approvals[:2]), policy)) == {"c": "approval.shared"}


def test_rule_that_cannot_block_takes_nobody_away() -> None:
    """A rule that is waived, or not yet in force, gets only who is left; that changes when it begins to count."""
    waived = Waiver("w", "product", Scope("shop", "production"), NOW + HOUR, "x", NOW, 1)
    situation = approved(replace(YES, roles=BOTH), waivers=(waived,))
    later = with_rules(
        {"id": "product", "kind": "approval", "role": "product", "effective_from": "2026-11-17T12:00"},
        {"id": "security", "kind": "approval", "role": "security"},
    )

    by_waiver, by_date = decided(situation, TWO), decided(facts(situation, waivers=()), later)

    assert (by_waiver.verdict, by_waiver.expires_at) == ("allow", NOW + HOUR)
    assert (by_date.verdict, by_date.expires_at) == ("allow", NOW + 2 * HOUR)


def test_approval_of_an_unknown_build() -> None:
    """There is nothing that it could be bound to."""
    assert said(asking(approved(YES), digest="sha256:00"), rule()) == ("deny", "digest.unknown")


@pytest.mark.parametrize(
    ("scope", "bites"),
    [
        (Scope(), True),
        (Scope("shop"), True),
        (Scope("other"), False),
        (Scope(environment="production"), True),
        (Scope(environment="staging"), False),
        (Scope(digest=NEW), True),
        (Scope(digest=LIVE), False),
        (Scope("shop", "production", NEW), True),
        (Scope("shop", "production", LIVE), False),
    ],
)
def test_scope_of_vetoes_and_obstacles(scope: Scope, bites: bool) -> None:
    """All that a scope names must fit. An obstacle can be closed, so it waits; a veto denies."""
    policy = with_rules({"kind": "obstacles"})
    veto = Veto("v", scope, "zoe@example.com", NOW, 1, "no")
    obstacle = Obstacle("o", scope, NOW, 1, text="the disk is full")

    vetoed, blocked = (
        decided(facts(green(), vetoes=(veto,)), policy),
        decided(facts(green(), obstacles=(obstacle,)), policy),
    )

    assert (vetoed.verdict, codes(vetoed)) == (("deny", {"obstacles": "veto"}) if bites else ("allow", {}))
    assert (blocked.verdict, codes(blocked)) == (("wait", {"obstacles": "obstacle.open"}) if bites else ("allow", {}))


def test_what_is_over_does_not_block() -> None:
    """A withdrawn veto, a closed obstacle, and kinds of obstacles that the rule ignores."""
    policy = with_rules({"kind": "obstacles", "ignore": ["cosmetic"]}, {"kind": "veto"})
    situation = facts(
        green(),
        vetoes=(Veto("v", Scope(), "zoe@example.com", NOW, 1, withdrawn_at=NOW),),
        obstacles=(
            Obstacle("o", Scope(), NOW, 1, closed_at=NOW),
            Obstacle("p", Scope(), NOW, 1, "cosmetic"),
        ),
    )

    assert decided(situation, policy).verdict == "allow"


def test_same_person() -> None:
    """Names in any case, with or without a display name, of any Unicode form; aliases that form a ring are one."""
    people = People({"A": "b", "B": "c", "c": "a", "work": "home"}, ["WORK"])

    assert {people.person_of(name) for name in ("a", "B", "C ")} == {"a"}
    assert people.person_of("robot", "Ann <ANN@example.com>") == "ann@example.com"
    assert normalised_name("ＳＴＲＡẞＥ") == normalised_name("strasse")
    assert (people.is_active("home"), people.is_active("a")) == (False, True)
    assert people.persons(["a", None, "", "b"]) == {"a"}


def test_commits_without_stories_are_authored_too() -> None:
    """A commit that works on no story still has an author who is not independent."""
    situation = green()
    commits = (Commit(OLD_COMMIT), Commit(NEW_COMMIT, stories=(STORY,)), Commit("e5" * 20, ("pat@example.com",)))
    builds = changed(situation.snapshot.builds, "build-b", commits=commits)

    assert said(approved(YES, builds=builds), rule(distinct_from=["author"])) == ("wait", "approval.not_independent")
