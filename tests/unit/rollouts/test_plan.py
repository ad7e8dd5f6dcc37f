"""What a release does next: the rules one by one, and laws that hold whatever happens."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom_server.rollouts import plan as planning
from greenroom_server.rollouts.plan import (
    Advance,
    Darken,
    Finish,
    Given,
    Heard,
    Hold,
    Need,
    Plan,
    Reach,
    Recover,
    Rest,
    Standing,
    Step,
    StepBack,
    Take,
    Trouble,
    Wait,
    next_move,
    waits_of,
)

HOUR = 3_600_000
NOON = 500_000 * HOUR
ADA = Given("this", 1, "ada", frozenset({"product"}))


def step(advance: Advance | None = None) -> Step:
    return Step("a step", {"checkout": Reach(is_everyone=True)}, advance)


def plan(*advances: Advance | None, start: Need | None = None) -> Plan:
    return Plan(tuple(step(one) for one in advances), "this", start=start)


def running(number: int = 1, since: int = NOON, **others: object) -> Standing:
    return replace(Standing("running", number, since=since, counts_from=since), **others)  # type: ignore[arg-type]


HOURLY = plan(Advance(HOUR), Advance(HOUR), None)


def test_a_step_waits_for_its_time() -> None:
    """To the millisecond, and says until when."""
    assert next_move(HOURLY, running(), NOON + HOUR - 1) == Rest((Wait("time", until=NOON + HOUR),))
    assert next_move(HOURLY, running(), NOON + HOUR) == Take(2)


def test_days_late_is_one_step_and_not_two() -> None:
    """What was missed is not caught up: the next step counts from when this one is taken."""
    late = NOON + 100 * HOUR

    assert next_move(HOURLY, running(), late) == Take(2)
    at = planning.taken(HOURLY, running(), 2, late)
    assert next_move(HOURLY, at, late) == Rest((Wait("time", until=late + HOUR),))


def test_a_start_is_taken_at_its_time_or_held() -> None:
    """Neither before, nor later than the plan allows."""
    at = Standing("scheduled", due_at=NOON)

    assert isinstance(next_move(HOURLY, at, NOON - 1), Rest)
    assert next_move(HOURLY, at, NOON) == Take(1)
    assert next_move(HOURLY, at, NOON + HOUR) == Take(1)
    overdue = next_move(HOURLY, at, NOON + HOUR + 1)
    assert isinstance(overdue, Hold)
    assert overdue.trouble.code == "overdue"


def test_a_freeze_puts_the_start_off_and_its_limit_too() -> None:
    """A start that waits for the policy is overdue only after the policy's moment."""
    at = planning.waiting(Standing("scheduled", due_at=NOON), NOON + 48 * HOUR)

    assert next_move(HOURLY, at, NOON + 47 * HOUR) == Rest((Wait("policy", until=NOON + 48 * HOUR),))
    assert next_move(HOURLY, at, NOON + 48 * HOUR) == Take(1)


def test_an_approval_counts_for_this_plan_this_step_and_this_person_once() -> None:
    """Of another plan, step or role it does not, and nobody counts twice."""
    wanted = plan(Advance(approval=Need("product", 2)), None)
    others = (replace(ADA, digest="that"), replace(ADA, step=0), replace(ADA, person="bo", roles=frozenset()))
    missing = Wait("approval", role="product", have=1, need=2)

    assert waits_of(wanted, running(approvals=(ADA, ADA, *others)), NOON) == (missing,)
    assert next_move(wanted, running(approvals=(ADA, replace(ADA, person="bo"))), NOON) == Take(2)


def test_a_start_waits_for_its_approval_and_then_is_overdue() -> None:
    """Somebody's word that comes a little late still starts it."""
    wanted = plan(None, start=Need("product", 1))
    at, word = Standing("scheduled", due_at=NOON), replace(ADA, step=0)

    assert isinstance(next_move(wanted, at, NOON + HOUR // 2), Rest)
    assert next_move(wanted, replace(at, approvals=(word,)), NOON + HOUR // 2) == Take(1)
    overdue = next_move(wanted, at, NOON + 2 * HOUR)
    assert isinstance(overdue, Hold)
    assert "approval of `product`" in overdue.trouble.reason


def test_without_conditions_only_people_go_on() -> None:
    """However long it takes."""
    assert next_move(plan(None, None), running(), NOON + 9_000 * HOUR) == Rest((Wait("people"),))


def test_a_guardrail_that_the_plan_names_must_have_looked_at_this_step() -> None:
    """A reading from before the step is none of it."""
    wanted = plan(Advance(HOUR, guardrails=("errors",)), None)
    later = NOON + HOUR

    assert next_move(wanted, running(), later, Heard(data_at=NOON - 1)) == Rest(
        (Wait("guardrail", guardrails=("errors",)),)
    )
    assert next_move(wanted, running(), later, Heard()) == Rest((Wait("guardrail", guardrails=("errors",)),))
    assert next_move(wanted, running(), later, Heard(data_at=NOON)) == Take(2)


def test_what_guardrails_say_comes_before_everything_else() -> None:
    """Darkness before a step back, that before holding, and all of them before what is wrong with flags."""
    changed = Trouble("flag_changed", "somebody")
    late = NOON + 5 * HOUR

    said = Heard("hold", "errors", trouble=changed)
    assert next_move(HOURLY, running(), late, said) == Hold(Trouble("guardrail", "errors"))
    said = Heard("step_back", "errors", trouble=changed)
    assert next_move(HOURLY, running(2), late, said) == StepBack(Trouble("guardrail_stepped_back", "errors"))
    said = Heard("darken", "errors", trouble=changed)
    assert next_move(HOURLY, running(), late, said) == Darken(Trouble("guardrail_darkened", "errors"))
    assert next_move(HOURLY, running(), late, Heard(trouble=changed)) == Hold(changed)


def test_what_a_guardrail_held_goes_on_when_all_is_well() -> None:
    """The time that it was held does not count; what somebody held stays held."""
    bad = Heard("hold", "errors", is_tripped=True)
    assert isinstance(next_move(HOURLY, running(), NOON + 1, bad), Hold)
    at = planning.held(running(), "guardrail", NOON + HOUR // 2)

    assert next_move(HOURLY, at, NOON + HOUR, bad) == Rest()
    assert next_move(HOURLY, at, NOON + 5 * HOUR) == Recover()
    at = planning.recovered(at, NOON + 5 * HOUR)
    assert next_move(HOURLY, at, NOON + 5 * HOUR) == Rest((Wait("time", until=NOON + 5 * HOUR + HOUR // 2),))
    assert next_move(HOURLY, planning.held(running(), "by_hand", NOON), NOON + 5 * HOUR) == Rest()


def test_a_step_without_data_goes_no_further_and_is_held_after_a_while() -> None:
    """Guardrails need some time to look; who has seen nothing says hold, and nothing is done on that."""
    wanted = plan(Advance(1_000), None)
    unseen = Heard("hold", "nothing was read since the step began")

    assert next_move(wanted, running(), NOON + 1_000, unseen) == Rest((Wait("guardrail"),))
    assert isinstance(next_move(wanted, running(), NOON + planning.PATIENCE_MS, unseen), Hold)


def test_a_held_release_rests_but_can_still_be_darkened() -> None:
    """Once: what is dark is not darkened again."""
    at = planning.held(running(), "by_hand", NOON)

    assert next_move(HOURLY, at, NOON + 5 * HOUR, Heard("step_back", "errors")) == Rest()
    assert isinstance(next_move(HOURLY, at, NOON, Heard("darken", "errors")), Darken)
    assert (
        next_move(HOURLY, planning.darkened(at, "guardrail_darkened", NOON), NOON, Heard("darken", "errors")) == Rest()
    )


def test_a_clock_that_went_back_holds() -> None:
    """A correction of less than a minute does not."""
    assert isinstance(next_move(HOURLY, running(), NOON - 60_000), Rest)
    back = next_move(HOURLY, running(), NOON - 60_001)
    assert isinstance(back, Hold)
    assert back.trouble.code == "clock_went_back"


def test_the_last_step_is_watched_for_as_long_as_the_plan_says() -> None:
    """Then the release is finished; without conditions it is at once."""
    watched = plan(Advance(HOUR))

    assert planning.taken(watched, Standing(), 1, NOON).state == "running"
    assert isinstance(next_move(watched, running(), NOON + HOUR - 1), Rest)
    assert next_move(watched, running(), NOON + HOUR) == Finish()
    assert planning.taken(plan(None), Standing(), 1, NOON).state == "finished"


@pytest.mark.parametrize("state", ["draft", "finished", "aborted", "undone"])
def test_what_is_not_under_way_rests(state: planning.State) -> None:
    """Whatever is said."""
    at = replace(running(), state=state)

    assert next_move(HOURLY, at, NOON + 9 * HOUR, Heard("darken", "errors")) == Rest()


def test_time_that_was_held_does_not_count() -> None:
    """A release that is resumed gives its step the whole time again, though the step is as old as it is."""
    at = planning.resumed(planning.held(running(), "by_hand", NOON), NOON + 9 * HOUR)

    assert at.since == NOON
    assert next_move(HOURLY, at, NOON + 9 * HOUR) == Rest((Wait("time", until=NOON + 10 * HOUR),))


advances = st.none() | st.builds(
    Advance,
    after_ms=st.none() | st.integers(1, 3 * HOUR),
    approval=st.none() | st.builds(Need, st.sampled_from(["product", "ops"]), st.integers(1, 2)),
    guardrails=st.sampled_from([(), ("errors",)]),
).filter(lambda one: one is None or one.after_ms is not None or one.approval is not None)
plans = st.lists(advances, min_size=1, max_size=5).map(lambda found: plan(*found))
sayings = st.builds(
    Heard,
    outcome=st.sampled_from(["ok", "ok", "ok", "hold", "step_back", "darken"]),
    data_at=st.none() | st.integers(NOON - HOUR, NOON + 50 * HOUR),
    is_tripped=st.booleans(),
    trouble=st.none() | st.none() | st.just(Trouble("flag_changed", "")),
)
events = st.lists(
    st.tuples(st.integers(-HOUR, 4 * HOUR), sayings, st.sampled_from(["tick", "tick", "tick", "approve", "resume"])),
    max_size=60,
)


@given(plans, events)
def test_no_step_is_skipped_doubled_early_or_taken_on_doubt(
    wanted: Plan, happens: list[tuple[int, Heard, str]]
) -> None:
    """Whatever clocks, guardrails and people do: one step forth or back at a time, and each forth one was due."""
    at, now = planning.taken(wanted, Standing(), 1, NOON), NOON
    for passed, heard, what in happens:
        now += passed
        if what == "approve":
            word = Given("this", at.step, f"person {len(at.approvals) % 3}", frozenset({"product", "ops"}))
            at = replace(at, approvals=(*at.approvals, word))
        elif what == "resume" and at.state == "held" and at.step and not at.is_dark:
            at = planning.resumed(at, now)
        move, before = next_move(wanted, at, now, heard), at
        at = applied(wanted, at, move, now)
        if isinstance(move, Take):
            assert move.step == before.step + 1 <= len(wanted.steps)
            assert before.state == "running"
            assert heard.outcome == "ok"
            assert heard.trouble is None
            advance = wanted.steps[before.step - 1].advance
            assert advance is not None
            assert advance.after_ms is None or now >= (before.counts_from or 0) + advance.after_ms
            assert not advance.guardrails or (heard.data_at or 0) >= (before.since or 0)
            assert planning.missing_approval(wanted, before) is None
        else:
            assert at.step in (before.step, before.step - 1)
        if isinstance(move, Rest):
            assert at == before


def applied(wanted: Plan, at: Standing, move: planning.Move, now: int) -> Standing:
    """Where a move leads."""
    match move:
        case Take(number):
            return planning.taken(wanted, at, number, now)
        case Finish():
            return planning.finished(at)
        case Hold(trouble):
            return planning.held(at, trouble.code, now)
        case Recover():
            return planning.recovered(at, now)
        case StepBack(trouble):
            return planning.went_back(at, at.step - 1, trouble.code, now)
        case Darken(trouble):
            return planning.darkened(at, trouble.code, now)
        case Rest():
            return at
