"""Suites, other evidence and rehearsals, to the millisecond and to the test."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.policy.situations import DAY, HOUR, NOW, changed, codes, decided, facts, green, with_rules, without

from greenroom_server.policy.durations import duration_ms, duration_text
from greenroom_server.policy.facts import Counts, Evidence, Provenance, Subject
from greenroom_server.policy.fixtures import LIVE, NEW, NEW_COMMIT, OLD_COMMIT, Situation

STAGING = "staging-main-bb"
SECURITY = with_rules({"kind": "evidence", "evidence": "test.security", "max_age": "36h", "max_duration": "10m"})


def suite(name: str, rule: dict[str, Any] | None = None, **members: Any) -> dict[str, str]:
    """What is said of the fixture when a suite's evidence is other than it was."""
    situation = facts(green(), evidence=changed(green().snapshot.evidence, name, **members))
    return codes(decided(situation, with_rules({"kind": "suites", **(rule or {})})))


@pytest.mark.parametrize(
    ("members", "rule", "code"),
    [
        ({"attempt": 2}, {"max_attempts": 2}, None),
        ({"attempt": 3}, {"max_attempts": 2}, "evidence.attempts"),
        ({"attempt": 9}, {}, None),
        ({"counts": Counts(100, 98, skipped=2)}, {"max_skipped_percent": 2}, None),
        ({"counts": Counts(1000, 979, skipped=21)}, {"max_skipped_percent": 2}, "skipped_ratio"),
        ({"counts": Counts(9, skipped=9)}, {}, "evidence.empty"),
        ({"counts": Counts(9, skipped=9)}, {"max_skipped_percent": 100}, "evidence.empty"),
        ({"counts": Counts(9, 8, failed=1)}, {}, "evidence.failed"),
        ({"counts": Counts(9, 8, errors=1)}, {}, "evidence.failed"),
        ({"counts": Counts()}, {}, "evidence.empty"),
        ({"counts": None}, {}, "evidence.uncounted"),
        ({"outcome": "error"}, {}, "evidence.failed"),
        ({"outcome": "cancelled"}, {}, "evidence.cancelled"),
        ({"revoked_at": NOW}, {}, "evidence.missing"),
        ({"suite": "smoke"}, {}, "evidence.missing"),
        ({"kind": "test.smoke"}, {}, "evidence.missing"),
        ({"subject": Subject(digest="sha256:" + "ff" * 32)}, {}, "evidence.missing"),
        ({"subject": Subject(commit=NEW_COMMIT)}, {}, "evidence.missing"),
        ({"suite": None}, {"require": ["unit"]}, None),
    ],
)
def test_suite(members: dict[str, Any], rule: dict[str, Any], code: str | None) -> None:
    """One member of the component suite's evidence is another."""
    assert suite("component", rule, **members) == ({} if code is None else {"suites": code})


def test_suite_where_it_ran() -> None:
    """A suite that must run somewhere like production does not count from anywhere else."""
    assert suite("acceptance", environment=None) == {"suites": "evidence.missing"}
    assert suite("acceptance", environment="production") == {}


def test_red_in_one_place_is_red() -> None:
    """Green in another environment does not outweigh it, whichever came last."""
    situation = green()
    one = next(one for one in situation.snapshot.evidence if one.suite == "acceptance")
    red = replace(one, id="red", environment="production", outcome="fail", finished_at=one.finished_at - DAY)

    decision = decided(facts(situation, evidence=(*situation.snapshot.evidence, red)), with_rules({"kind": "suites"}))

    assert codes(decision) == {"suites": "evidence.failed"}


def test_fresh_in_one_place_is_enough() -> None:
    """An old green run elsewhere does no harm, and the answer holds as long as the newest."""
    situation = green()
    one = next(one for one in situation.snapshot.evidence if one.suite == "acceptance")
    old = replace(one, id="old", environment="production", finished_at=NOW - 30 * DAY)

    decision = decided(facts(situation, evidence=(*situation.snapshot.evidence, old)), with_rules({"kind": "suites"}))

    assert decision.verdict == "allow"
    assert decision.expires_at == one.finished_at + 14 * DAY


def test_declared_definition() -> None:
    """A suite whose definition is declared counts only if that one ran."""
    declared = {"unit": {"kind": "test.unit", "bind": "commit", "definition": "sha256:dd"}}
    policy = with_rules({"kind": "suites"}, suites=declared)
    other = facts(green(), evidence=changed(green().snapshot.evidence, "unit", suite_definition="sha256:ee"))
    same = facts(green(), evidence=changed(green().snapshot.evidence, "unit", suite_definition="sha256:dd"))

    assert codes(decided(other, policy)) == {"suites": "evidence.definition"}
    assert decided(same, policy).verdict == "allow"


def test_no_suites_are_no_green_suites() -> None:
    """A policy that declares none cannot be met by having none."""
    assert codes(decided(green(), with_rules({"kind": "suites"}, suites=None))) == {"suites": "evidence.missing"}


@pytest.mark.parametrize(
    ("commits", "code"),
    [((), None), ((NEW_COMMIT,), None), ((OLD_COMMIT,), "evidence.missing"), ((OLD_COMMIT, NEW_COMMIT), None)],
)
def test_commit_is_linked_to_the_digest(commits: tuple[str, ...], code: str | None) -> None:
    """Evidence of a commit counts where the build was registered with it, unless provenance only names another."""
    links = tuple(Provenance(f"pr_{commit}", NEW, "ci", 1, commit) for commit in commits)
    situation = facts(green(), provenances=links)

    decision = decided(situation, with_rules({"kind": "suites", "require": ["unit"]}))

    assert codes(decision) == ({} if code is None else {"suites": code})


def test_the_latest_of_digest_and_commit() -> None:
    """Between evidence of the digest and of its commit, the later run counts."""
    situation = green()
    of_commit = next(one for one in situation.snapshot.evidence if one.suite == "unit")
    red = replace(of_commit, id="red", subject=Subject(digest=NEW), outcome="fail")
    policy = with_rules({"kind": "suites", "require": ["unit"]})

    def verdict(later: int) -> str:
        one = replace(red, finished_at=red.finished_at + later)
        return decided(facts(situation, evidence=(*situation.snapshot.evidence, one)), policy).verdict

    assert (verdict(-1), verdict(1)) == ("allow", "deny")


def test_late_upload_of_an_older_run_never_wins() -> None:
    """What counts is when it finished, then the attempt, then the id; not when it was received."""
    situation = green()
    one = next(one for one in situation.snapshot.evidence if one.suite == "component")
    late = replace(one, id="zz", outcome="fail", finished_at=one.finished_at - 1, received_at=NOW, seq=999)
    second = replace(late, finished_at=one.finished_at, attempt=2)
    policy = with_rules({"kind": "suites"})

    assert decided(facts(situation, evidence=(*situation.snapshot.evidence, late)), policy).verdict == "allow"
    assert decided(facts(situation, evidence=(late, *situation.snapshot.evidence)), policy).verdict == "allow"
    assert decided(facts(situation, evidence=(second, *situation.snapshot.evidence)), policy).verdict == "deny"


def test_digest_of_two_builds_proves_nothing() -> None:
    """Evidence whose digest several builds claim is of none of them."""
    situation = green()
    shared = "sha256:" + "5a" * 32
    builds = tuple(replace(one, digests=(*one.digests, shared)) for one in situation.snapshot.builds)
    evidence = changed(situation.snapshot.evidence, "component", subject=Subject(digest=shared))

    decision = decided(facts(situation, builds=builds, evidence=evidence), with_rules({"kind": "suites"}))

    assert codes(decision) == {"suites": "evidence.missing"}


def security(**members: Any) -> Situation:
    return facts(green(), evidence=(replace(SCAN, **members),))


SCAN = Evidence(
    "scan", "test.security", Subject(digest=NEW), "pass", NOW - HOUR, NOW, 1, suite="zap", started_at=NOW - HOUR - 1
)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: security(), None),
        (lambda: security(finished_at=NOW - 36 * HOUR + 1, started_at=NOW - 36 * HOUR), None),
        (lambda: security(finished_at=NOW - 36 * HOUR, started_at=NOW - 36 * HOUR), "evidence.stale"),
        (lambda: security(started_at=NOW - HOUR - 600_000), None),
        (lambda: security(started_at=NOW - HOUR - 600_001), "evidence.slow"),
        (lambda: security(started_at=None), "evidence.untimed"),
        (lambda: security(counts=Counts(0)), "evidence.empty"),
        (lambda: security(subject=Subject(digest=LIVE)), "evidence.missing"),
        (lambda: security(subject=Subject(commit=NEW_COMMIT)), "evidence.missing"),
    ],
)
def test_evidence(make: Callable[[], Situation], code: str | None) -> None:
    """Of one kind, with an age and a duration."""
    assert codes(decided(make(), SECURITY)) == ({} if code is None else {"evidence": code})


def test_every_suite_of_a_kind() -> None:
    """Evidence of a kind in two suites needs both, and the answer holds as long as the older one."""
    older = replace(SCAN, id="other", suite="trivy", finished_at=NOW - 2 * HOUR, started_at=NOW - 2 * HOUR)
    both = facts(green(), evidence=(SCAN, older))
    red = facts(green(), evidence=(SCAN, replace(older, outcome="fail")))

    assert decided(both, SECURITY).expires_at == older.finished_at + 36 * HOUR
    assert codes(decided(red, SECURITY)) == {"evidence": "evidence.failed"}


BUTTON = with_rules({"kind": "evidence", "evidence": "deploy.rehearsal", "max_age": "3d", "max_duration": "10m"})


def button(**members: Any) -> dict[str, str]:
    situation = green()
    return codes(
        decided(facts(situation, deployments=changed(situation.snapshot.deployments, STAGING, **members)), BUTTON)
    )


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, None),
        ({"deployed_at": NOW - 3 * DAY + 1}, None),
        ({"deployed_at": NOW - 3 * DAY}, "evidence.stale"),
        ({"manual_steps": 1}, "button.manual"),
        ({"is_automated": False}, "button.manual"),
        ({"duration_ms": 600_000}, None),
        ({"duration_ms": 600_001}, "button.slow"),
        ({"duration_ms": None}, "evidence.untimed"),
        ({"has_failed": True}, "evidence.failed"),
    ],
)
def test_button(members: dict[str, Any], code: str | None) -> None:
    """The last deployment of the build was another."""
    assert button(**members) == ({} if code is None else {"evidence": code})


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, None),
        ({"is_automated": False}, "button.manual"),
        ({"outcome": "fail"}, "evidence.failed"),
        ({"outcome": "cancelled"}, "evidence.cancelled"),
        ({"started_at": None}, "evidence.untimed"),
        ({"started_at": NOW - HOUR - 600_001}, "button.slow"),
    ],
)
def test_rehearsal_as_evidence(members: dict[str, Any], code: str | None) -> None:
    """A pipeline may report a rehearsal itself; the newest of reports and deployments counts."""
    report = replace(SCAN, kind="deploy.rehearsal", suite=None, **members)
    situation = facts(green(), evidence=(report,))
    unbudgeted = with_rules({"kind": "evidence", "evidence": "deploy.rehearsal"})

    assert codes(decided(situation, BUTTON)) == ({} if code is None else {"evidence": code})
    assert decided(facts(green(), evidence=(replace(report, finished_at=0),)), unbudgeted).verdict == "allow"


def test_never_deployed() -> None:
    """Without any deployment of the build nobody knows whether the button works."""
    situation = facts(green(), deployments=without(green().snapshot.deployments, STAGING))

    assert codes(decided(situation, BUTTON)) == {"evidence": "evidence.missing"}


@given(st.integers(1, 400 * DAY))
def test_lengths_are_told_as_policies_write_them(length: int) -> None:
    """What a message says of a length can be written into a policy."""
    assert duration_ms(duration_text(length)) == length
    assert duration_text(600_001) == "10m1ms"
    assert duration_text(0) == "0ms"
