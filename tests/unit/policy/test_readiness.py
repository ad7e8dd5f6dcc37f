"""Readiness: what builds would have done by themselves, judged without hindsight."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.policy.histories import (
    DARK,
    MINUTE,
    OPEN,
    SHOWN,
    History,
    commit,
    digest,
    finished,
    judged,
    replayed,
    wanting,
)
from tests.unit.policy.situations import DAY, HOUR, instant

from greenroom_server.policy.chronicle import Chronicle, Version
from greenroom_server.policy.facts import Approval, Obstacle, Scope, Story, Subject
from greenroom_server.policy.readiness import (
    UNSANCTIONED,
    Judged,
    Last,
    Thresholds,
    judge_builds,
    percentile,
    verdict_on,
)
from greenroom_server.policy.replaying import Replayed, replay

NINE = instant("2026-11-17T09:00+01:00")
DAY_MINUTES = 24 * 60
MS = 1 / MINUTE
OFFICE = {"id": "hours", "kind": "calendar", "use": ["office"]}
APPROVED = {"id": "go", "kind": "approval", "role": "product"}


def kinds(history: History, *rules: dict[str, Any], until: float = 30 * DAY_MINUTES) -> list[str]:
    """The classes of the builds, oldest first."""
    return [one.kind for one in judged(history, wanting(*rules), until)]


def test_the_worked_example() -> None:
    """All green at 09:00, a red rerun at 09:05, rejected at 09:06: it would have shipped at 09:00, and falsely."""
    history = History(NINE)
    history.built(1, -1)
    history.checked(1, 0)
    history.checked(1, 5, "fail")
    history.rejected(1, 6)

    (build,) = judged(history, wanting(APPROVED | {"modes": ["delivery"]}))

    assert (build.kind, build.replayed.ready_at, build.replayed.would_go_at) == ("false_ready", NINE, NINE)
    assert [(wrong.what, wrong.by) for wrong in build.wrong] == [("rejected", "pat@example.com")]


def test_green_goes_at_once_and_people_are_what_it_waited_for() -> None:
    """Ready and gone at the same instant; live hours later, when somebody pressed the button."""
    history = History(NINE)
    history.built(1, 0)
    history.checked(1, 10)
    history.live(1, 70)

    (build,) = judged(history, wanting())

    assert build.kind == "auto_ready"
    assert build.replayed.ready_at == build.replayed.would_go_at == NINE + 10 * MINUTE
    assert build.replayed.live_at == NINE + 70 * MINUTE


@pytest.mark.parametrize(
    ("after", "kind"), [(0, "false_ready"), (DAY_MINUTES - MS, "false_ready"), (DAY_MINUTES, "auto_ready")]
)
@pytest.mark.parametrize("what", ["rejected", "vetoed", "named", "burnt", "rolled_back"])
def test_a_day_is_half_open(what: str, after: float, kind: str) -> None:
    """What is said 23:59:59.999 later still counts, and 24 hours later no more: after it would have gone, or went."""
    history = History(NINE)
    history.built(1, -20)
    history.built(2, -10)
    history.live(1, -5)
    history.checked(2, -1)
    history.live(2, 0)
    tell = {
        "rejected": lambda: history.rejected(2, after - 1),
        "vetoed": lambda: history.vetoed(2, after - 1),
        "named": lambda: history.burnt(after - 1, Scope(digest=digest(2))),
        "burnt": lambda: history.burnt(after),
        "rolled_back": lambda: history.live(1, after),
    }
    tell[what]()

    assert kinds(history)[1] == kind


def test_what_is_not_about_the_build_is_not_held_against_it() -> None:
    """An incident elsewhere, of another build, or while something else had the traffic."""
    history = History(NINE)
    history.built(1, 0)
    history.checked(1, 1)
    history.live(1, 2)
    history.built(2, 3)
    history.checked(2, 4)
    history.burnt(5, Scope("shop", "staging"))
    history.burnt(5, Scope("other"))
    history.burnt(5, Scope(digest=digest(9)))
    history.live(2, 6)
    history.burnt(5.5)  # told late: the first build had the traffic

    assert kinds(history) == ["false_ready", "auto_ready"]


def test_a_newer_build_that_follows_is_no_roll_back() -> None:
    """Only something older takes it back."""
    history = History(NINE)
    for number in (1, 2):
        history.built(number, number)
        history.checked(number, number)
        history.live(number, number + 0.5)

    assert kinds(history) == ["auto_ready", "auto_ready"]


def test_office_hours_are_waited_for_by_nobody() -> None:
    """Green on Friday night: it goes by itself on Monday at nine, and the calendar is what held it."""
    history = History(instant("2026-11-20T18:00+01:00"))
    history.built(1, 0)
    history.checked(1, 0)

    (build,) = judged(history, wanting(OFFICE))

    assert build.kind == "auto_ready"
    assert build.replayed.would_go_at == instant("2026-11-23T09:00+01:00")
    held = build.replayed.held["hours"]
    assert (held.code, held.held_ms) == ("calendar.closed", 63 * HOUR)


def test_a_window_that_does_not_come_in_time() -> None:
    """It is still closed when the report is made, so the calendar blocks; and also if a newer build overtook it."""
    history = History(instant("2026-11-20T18:00+01:00"))
    history.built(1, 0)
    history.checked(1, 0)
    before = kinds(history, OFFICE, until=60)
    history.built(2, 61)
    history.live(2, 62)

    assert before == ["blocked_calendar"]
    assert kinds(history, OFFICE) == ["blocked_calendar", "blocked_evidence"]


def test_soaking_and_staging_are_the_pipelines_matter() -> None:
    """A build soaks for a day and goes then; nobody has to do anything."""
    soak = {"id": "soak", "kind": "soak", "in": "staging", "for": "24h"}
    history = History(NINE)
    history.built(1, 0)
    history.checked(1, 1)
    history.live(1, 5, "staging")

    (build,) = judged(history, wanting(soak))

    assert (build.kind, build.replayed.would_go_at) == ("auto_ready", NINE + 5 * MINUTE + DAY)
    assert build.replayed.held["soak"].held_ms == DAY + 4 * MINUTE


def test_evidence_that_never_came() -> None:
    """It is named, whether or not the build was deployed all the same."""
    history = History(NINE)
    history.built(1, 0)
    history.checked(1, 1, "fail")
    history.live(1, 2)

    (build,) = judged(history, wanting())

    assert (build.kind, build.replayed.ready_at, build.replayed.would_go_at) == ("blocked_evidence", None, None)
    assert [held.code for held in build.replayed.in_the_way()] == ["evidence.failed"]


def test_evidence_by_hand() -> None:
    """The build would have gone with it, and that is no automation."""
    history = History(NINE)
    history.built(1, 0)
    history.checked(1, 1, is_automated=False)

    (build,) = judged(history, wanting())

    assert (build.kind, build.replayed.would_go_at) == ("manual_evidence", NINE + MINUTE)
    assert [held.code for held in build.replayed.in_the_way()] == ["evidence.missing"]


def test_machines_that_come_after_people_make_nothing_automatic() -> None:
    """First complete by hand: the same evidence from the pipeline a minute later was not what it went by."""
    history = History(NINE)
    history.built(1, 0)
    history.checked(1, 1, is_automated=False)
    history.checked(1, 2)

    assert kinds(history) == ["manual_evidence"]
    history = History(NINE)
    history.built(1, 0)
    history.checked(1, 1)
    history.checked(1, 2, is_automated=False)
    assert kinds(history) == ["auto_ready"]


@pytest.mark.parametrize(
    ("is_dark", "kind", "codes"),
    [
        (True, "auto_ready", []),
        (False, "blocked_unfinished_not_dark", ["flag.not_dark"]),
        (None, "blocked_unfinished_not_dark", ["flag.unknown"]),
    ],
)
def test_flags_as_they_were(is_dark: bool | None, kind: str, codes: list[str]) -> None:
    """Dark lets an unfinished story pass; lit does not, and neither does what nobody can tell any more."""
    history = History(NINE)
    history.flag(-1, "new-checkout", is_dark, "shop-1")
    history.built(1, 0, "shop-1")
    history.checked(1, 1)

    (build,) = judged(history, wanting(DARK, SHOWN, OPEN), until=5)

    assert build.kind == kind
    assert [held.code for held in build.replayed.in_the_way()] == codes


def test_somebody_who_makes_a_flag_dark_is_somebody() -> None:
    """Once it is dark the build goes, but not by itself."""
    history = History(NINE)
    history.flag(-1, "new-checkout", False)
    history.built(1, 0)
    history.tell(0, "stories", "shop-1", Story("shop-1", ("new-checkout",), f"{1:040x}"))
    history.versions[1] = replace(history.versions[1], fact=replace(history.versions[1].fact, stories=("shop-1",)))
    history.checked(1, 1)
    history.flag(30, "new-checkout", True)

    (build,) = judged(history, wanting(DARK, SHOWN, OPEN))

    assert (build.kind, build.replayed.would_go_at) == ("blocked_unfinished_not_dark", NINE + 30 * MINUTE)
    assert build.replayed.held["dark"].held_ms == 29 * MINUTE


def test_an_approval_that_deployment_mode_wants_too_is_somebody() -> None:
    """A rule without modes waits for a person, so nothing goes by itself."""
    history = History(NINE)
    history.built(1, 0)
    history.checked(1, 1)
    word = Approval(
        "yes", "approve", "deploy", "production", "pat@example.com", ("product",), NINE + HOUR, 9, digest(1)
    )
    history.tell(60, "approvals", "yes", word)

    (build,) = judged(history, wanting(APPROVED))

    assert (build.kind, build.replayed.would_go_at) == ("blocked_other", NINE + HOUR)


def test_what_is_over_holds_no_longer_than_it_did() -> None:
    """A veto that was withdrawn ends then; the calendar is still closed when the report is made."""
    history = History(instant("2026-11-20T18:00+01:00"))
    history.built(1, 0)
    history.checked(1, 1)
    history.vetoed(1, 1)
    veto = history.versions[-1].fact
    history.tell(31, "vetoes", veto.id, replace(veto, withdrawn_at=history.at(31)))

    (build,) = judged(history, wanting(OFFICE, OPEN), until=60)

    held = build.replayed.held
    assert (held["hours"].held_ms, held["open"].held_ms) == (59 * MINUTE, 30 * MINUTE)


def test_a_flag_that_is_archived_is_not_there_any_more() -> None:
    """Dark until then, missing from then on: a rule may come and go, and both stretches count."""
    history = History(NINE)
    history.flag(-1, "new-checkout", False, "shop-1")
    history.built(1, 0, "shop-1")
    history.checked(1, 1)
    history.tell(2, "obstacles", "o", Obstacle("o", Scope("shop"), NINE, 9))
    history.flag(10, "new-checkout", True, "shop-1")
    history.versions.append(Version(history.at(20), 0, "flags", "new-checkout", None))

    (build,) = judged(history, wanting(DARK, SHOWN, OPEN), until=30)

    held = build.replayed.held["dark"]
    assert (held.code, held.held_ms) == ("story.no_flag", (9 + 10) * MINUTE)
    assert build.kind == "blocked_unfinished_not_dark"


def test_by_hand_and_still_not_complete() -> None:
    """What a person did is not enough either; the commit's own evidence counts for the build."""
    history = History(NINE)
    history.built(1, 0)
    history.checked(1, 1, "fail", is_automated=False)
    history.checked(1, 1)
    told = history.versions[-1]
    history.versions[-1] = replace(told, fact=replace(told.fact, subject=Subject(commit=commit(1))))

    (build,) = judged(history, wanting())

    assert (build.kind, build.replayed.is_manual) == ("blocked_evidence", False)


def test_what_is_known_together_is_looked_at_together() -> None:
    """Green and red evidence of one request: at no instant was it green."""
    history = History(NINE)
    history.built(1, 0)
    history.checked(1, 1)
    history.checked(1, 1, "fail", attempt=2)

    assert kinds(history) == ["blocked_evidence"]


def test_late_evidence_is_known_when_it_comes() -> None:
    """Finished long ago and told late: the build is ready when it is told."""
    history = History(NINE)
    history.built(1, 0)
    history.checked(1, 1)
    told = history.versions[-1]
    history.versions[-1] = replace(told, at=told.at + HOUR)

    (build,) = judged(history, wanting())

    assert build.replayed.ready_at == NINE + MINUTE + HOUR


def verdict(history: History, overdue: int = 0, **limits: int) -> Any:
    """The verdict on all builds of the history."""
    known = Last(history.chronicle())
    found = finished(judge_builds(replayed(history, wanting()), known))
    return verdict_on(found, known, overdue, Thresholds(**limits))


def good(builds: int, *, but: int = 0) -> History:
    """So many builds that went by themselves, of which some lacked evidence."""
    history = History(NINE)
    for number in range(1, builds + 1):
        history.built(number, number * 10)
        if number > but:
            history.checked(number, number * 10 + 1)
        history.live(number, number * 10 + 5)
    return history


def test_a_service_that_could_be_switched() -> None:
    """Twenty of twenty builds, quick deployments, nothing by hand."""
    found = verdict(good(20))

    assert found.is_flippable, found.criteria
    assert (found.counts["auto_ready"], found.obstructions) == (20, ())


@pytest.mark.parametrize(
    ("builds", "but", "failing"),
    [(20, 1, set()), (20, 2, {"auto_ready_percent"}), (19, 0, {"builds"}), (0, 0, {"builds", "auto_ready_percent"})],
)
def test_how_many_builds_it_takes(builds: int, but: int, failing: set[str]) -> None:
    """At least 20, of which at least 95 percent."""
    found = verdict(good(builds, but=but))

    missed = {one.name for one in found.criteria if not one.is_met} - {"permit_to_live_p95_ms"}
    assert missed == failing
    assert found.is_flippable == (not failing)


def test_each_other_demand_alone_keeps_it_from_being_switched() -> None:
    """An overdue review, a slow deployment, an unsanctioned one; and the thresholds can be others."""
    slow, unsanctioned = good(20), good(20)
    slow.live(20, 300, duration=11 * MINUTE)
    slow.live(20, 400, duration=11 * MINUTE)
    opened = Obstacle("o", Scope("shop", "production"), NINE + HOUR, 999, UNSANCTIONED)
    unsanctioned.tell(60, "obstacles", "o", opened)

    def failing(found: Any) -> list[str]:
        return [one.name for one in found.criteria if not one.is_met]

    assert failing(verdict(good(20), overdue=1)) == ["overdue_reviews"]
    assert failing(verdict(slow)) == ["permit_to_live_p95_ms"]
    assert failing(verdict(slow, budget_ms=20 * MINUTE)) == []
    assert failing(verdict(unsanctioned)) == ["unsanctioned_deployments"]
    assert failing(verdict(good(10, but=2), min_builds=10, auto_ready_percent=80)) == []


@pytest.mark.parametrize(
    ("slot", "permit", "length"), [(None, "p", 6 * MINUTE), ("blue", "p", 5 * MINUTE), (None, None, 1000)]
)
def test_from_permit_to_live(slot: str | None, permit: str | None, length: int) -> None:
    """From when it was permitted until it had the traffic, or was in its slot; else as long as deploying took."""
    history = History(NINE)
    history.built(1, 0)
    history.live(1, 10)
    told = history.versions[-1]
    deployed = replace(told.fact, slot=slot, permit=permit, deployed_at=history.at(9))
    history.versions[-1] = replace(told, fact=deployed)
    known = Last(replace(history.chronicle(), permitted_at={"p": history.at(4)}))

    found = verdict_on(finished(judge_builds(replayed(history, wanting()), known)), known, 0, Thresholds())

    measured = {one.name: one.value for one in found.criteria}
    assert measured["permit_to_live_p95_ms"] == length


def test_what_stood_in_the_way_is_ranked_by_builds() -> None:
    """The rule that held most builds up comes first."""
    scanned = {"id": "scanned", "kind": "evidence", "evidence": "test.security"}
    history = History(NINE)
    for number in range(1, 4):
        history.built(number, number)
    history.checked(1, 5)
    known = Last(history.chronicle())
    found = finished(judge_builds(replayed(history, wanting(scanned)), known))

    ranked = verdict_on(found, known, 0, Thresholds()).obstructions

    assert [(one.rule, one.builds, dict(one.codes)) for one in ranked] == [
        ("scanned", 3, {"evidence.missing": 3}),
        ("tested", 2, {"evidence.missing": 2}),
    ]


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 95, None), ([7], 95, 7), (range(1, 101), 95, 95), (range(1, 21), 95, 19), ([1, 2, 3], 50, 2)],
)
def test_percentiles(values: Any, percent: int, expected: int | None) -> None:
    """The smallest value that so many percent do not exceed."""
    assert percentile(values, percent) == expected


happenings = st.tuples(
    st.sampled_from(
        [
            "built",
            "green",
            "red",
            "by hand",
            "live",
            "staged",
            "rejected",
            "vetoed",
            "burnt",
            "dark",
            "lit",
            "lost",
            "stuck",
        ]
    ),
    st.integers(1, 3),
    st.floats(0, 300),
)


def told(happened: list[tuple[str, int, float]]) -> History:
    """A history of these happenings, each some minutes after the one before."""
    history, minute, built = History(NINE), 0.0, set()
    for what, number, later in happened:
        minute += later
        if what == "built" and number not in built:
            built.add(number)
            history.built(number, minute, *(["shop-1"] if number == 2 else []))
        _tell(history, what, number, minute)
    return history


def _tell(history: History, what: str, number: int, minute: float) -> None:
    tellings = {
        "green": lambda: history.checked(number, minute),
        "red": lambda: history.checked(number, minute, "fail"),
        "by hand": lambda: history.checked(number, minute, is_automated=False),
        "live": lambda: history.live(number, minute),
        "staged": lambda: history.live(number, minute, "staging"),
        "rejected": lambda: history.rejected(number, minute),
        "vetoed": lambda: history.vetoed(number, minute),
        "burnt": lambda: history.burnt(minute),
        "dark": lambda: history.flag(minute, "new-checkout", True, "shop-1"),
        "lit": lambda: history.flag(minute, "new-checkout", False, "shop-1"),
        "lost": lambda: history.flag(minute, "new-checkout", None, "shop-1"),
        "stuck": lambda: history.tell(
            minute, "obstacles", f"o-{history.seq}", Obstacle("o", Scope("shop"), history.at(minute), history.seq + 1)
        ),
    }
    if what in tellings:
        tellings[what]()


def state(one: Replayed) -> tuple[Any, ...]:
    """All that the replay says of a build."""
    held = tuple((name, entry.code, entry.since, entry.until, entry.held_ms) for name, entry in one.held.items())
    return one.build.id, one.ready_at, one.would_go_at, one.live_at, one.is_manual, held, one.standing


@settings(max_examples=150, deadline=None)
@given(st.lists(happenings, min_size=2, max_size=14), st.data())
def test_no_hindsight(happened: list[tuple[str, int, float]], data: st.DataObject) -> None:
    """What a replay says up to a point is the same, whatever is told after it; only false_ready looks ahead."""
    policy = wanting(DARK, SHOWN, OPEN, OFFICE, {"id": "line", "kind": "order"})
    chronicle = told(happened).chronicle()
    moments = sorted({version.at for version in chronicle.versions})
    if not moments:
        return
    until = data.draw(st.sampled_from(moments))
    before = replace(chronicle, versions=tuple(one for one in chronicle.versions if one.at <= until))

    full, cut = _replay(chronicle, policy, until), _replay(before, policy, until)

    assert [state(one) for one in full] == [state(one) for one in cut]
    classes, later = (
        {one.replayed.build.id: one.kind for one in _judge(found, facts)}
        for found, facts in ((cut, before), (full, chronicle))
    )
    assert all(later[name] in (kind, "false_ready") for name, kind in classes.items())


@settings(max_examples=50, deadline=None)
@given(st.lists(happenings, min_size=2, max_size=14), st.lists(happenings, max_size=5))
def test_a_build_that_would_have_gone_stays_so(
    happened: list[tuple[str, int, float]], after: list[tuple[str, int, float]]
) -> None:
    """Nothing that is told later takes an instant back at which a build would have gone."""
    policy = wanting(DARK, SHOWN, OPEN)
    early, late = told(happened), told([*happened, ("none", 1, 1.0), *after])

    def gone(history: History) -> dict[str, int]:
        found = replayed(history, policy)
        return {one.build.id: one.would_go_at for one in found if one.would_go_at is not None}

    assert gone(early).items() <= gone(late).items()


def _replay(chronicle: Chronicle, policy: Any, until: int) -> list[Replayed]:
    names = [one.id for one in chronicle.versions if one.member == "builds"]
    return list(finished(replay(chronicle, names, policy, until)))


def _judge(found: list[Replayed], chronicle: Chronicle) -> list[Judged]:
    return list(finished(judge_builds(found, Last(chronicle))))


def test_versions_come_in_the_order_of_their_numbers() -> None:
    """A clock that ran backwards puts nothing before what was known earlier; flags go by their instants."""
    history = History(NINE)
    history.built(1, 10)
    history.checked(1, 5)
    history.flag(3, "new-checkout", True)

    found: tuple[Version, ...] = history.chronicle().versions

    assert [(one.member, one.at) for one in found] == [
        ("flags", NINE + 3 * MINUTE),
        ("builds", NINE + 10 * MINUTE),
        ("evidence", NINE + 10 * MINUTE),
    ]
