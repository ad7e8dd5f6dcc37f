"""What a release does next: decided by its plan, where it stands, the moment and what was heard, and by nothing else.

Moments are whole milliseconds of the store's clock. A step is only ever followed by the next one, never on doubt, and
at most one is taken at a time: the time of a step counts from when it took effect, however late that was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from greenroom_server.policy.facts import Instant

State = Literal["draft", "scheduled", "running", "held", "finished", "aborted", "undone"]
Command = Literal["edit", "approve", "schedule", "go", "hold", "resume", "abort", "undo", "delete"]
Outcome = Literal["ok", "hold", "step_back", "darken"]

# A clock may be corrected a little at any time. Past this, what "after an hour" means is for people to say.
CLOCK_TOLERANCE_MS: Final = 60_000
# So long a step may be without data of its own before the release is held; it does not go on meanwhile either.
PATIENCE_MS: Final = 180_000
# Why a release is held: only what a guardrail held, it lets go again by itself.
GUARDRAIL: Final = "guardrail"

ALIVE: Final[frozenset[State]] = frozenset({"draft", "scheduled", "running", "held"})
ACTIVE: Final[frozenset[State]] = frozenset({"scheduled", "running", "held"})
ALLOWED: Final[Mapping[Command, frozenset[State]]] = {
    "edit": ALIVE,
    "approve": ALIVE,
    "schedule": frozenset({"draft", "scheduled", "held"}),
    "go": ALIVE,
    "hold": frozenset({"scheduled", "running"}),
    "resume": frozenset({"held"}),
    "abort": ACTIVE,
    "undo": frozenset({"running", "held", "finished", "aborted"}),
    "delete": frozenset({"draft", "finished", "aborted", "undone"}),
}


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a step serves a flag to, those of all steps before it included. `percent` is in thousandths."""

    is_internal: bool = False
    segments: tuple[str, ...] = ()
    percent: int = 0
    is_everyone: bool = False

    @property
    def is_nobody(self) -> bool:
        return self == Reach()

    def __or__(self, other: "Reach") -> "Reach":
        return Reach(
            self.is_internal or other.is_internal,
            tuple(dict.fromkeys((*self.segments, *other.segments))),
            max(self.percent, other.percent),
            self.is_everyone or other.is_everyone,
        )


@dataclass(frozen=True, slots=True)
class Need:
    """The word of `count` people who have the role."""

    role: str
    count: int


@dataclass(frozen=True, slots=True)
class Advance:
    """What must be true before the step after this one is taken: all that is given of it."""

    after_ms: int | None = None
    approval: Need | None = None
    guardrails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Whom each flag is served to. Without `advance` only people go on from here, by hand."""

    name: str
    reaches: Mapping[str, Reach]
    advance: Advance | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps, numbered from 1. `digest` names this very plan: an approval of another one counts nothing."""

    steps: tuple[Step, ...]
    digest: str
    start: Need | None = None
    overdue_ms: int = 3_600_000
    waits_in_freeze: bool = True

    def need_after(self, step: int) -> Need | None:
        """Whose word is wanted before the step after this one; 0 is before the first."""
        if step == 0:
            return self.start
        advance = self.steps[step - 1].advance
        return None if advance is None else advance.approval

    def ends_at(self, step: int) -> bool:
        """Whether nothing is left to be waited for once this step is taken."""
        return step == len(self.steps) and self.steps[step - 1].advance is None


@dataclass(frozen=True, slots=True)
class Given:
    """An approval: of a plan, of going on from a step."""

    digest: str
    step: int
    person: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a release is. `step` is the one in effect, 0 for none.

    `since` is when it took effect, and `counts_from` from when its time counts: later, if it was held meanwhile.
    `due_at` is when the first step is to be taken, `waits_until` when the policy is to be asked again.
    `is_dark`: a guardrail switched all flags off. `held_at` and `held_by` say since when it is held, and the code why.
    """

    state: State = "draft"
    step: int = 0
    since: Instant | None = None
    counts_from: Instant | None = None
    due_at: Instant | None = None
    waits_until: Instant | None = None
    is_dark: bool = False
    held_at: Instant | None = None
    held_by: str | None = None
    approvals: tuple[Given, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a release is held: a code for programs, and a reason for people."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What the guardrails said, with the moment of their newest reading, and what is wrong with the flags, if so.

    `is_tripped`: things are bad; a `hold` without it is for want of data.
    """

    outcome: Outcome = "ok"
    reason: str = ""
    data_at: Instant | None = None
    is_tripped: bool = False
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Something that is waited for. `until` is known where time alone brings it."""

    what: Literal["time", "approval", "guardrail", "policy", "people"]
    until: Instant | None = None
    role: str | None = None
    have: int = 0
    need: int = 0
    guardrails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is done now."""

    waits: tuple[Wait, ...] = ()


@dataclass(frozen=True, slots=True)
class Take:
    """Take this step."""

    step: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The last step was waited out."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Stay where it is until somebody says otherwise."""

    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Recover:
    """Go on: what a guardrail held is well again."""


@dataclass(frozen=True, slots=True)
class StepBack:
    """Go back to the step before, and hold."""

    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Darken:
    """Switch all flags off, and hold."""

    trouble: Trouble


Move: TypeAlias = Rest | Take | Finish | Hold | Recover | StepBack | Darken
NOTHING_HEARD: Final = Heard()


def next_move(plan: Plan, at: Standing, now: Instant, heard: Heard = NOTHING_HEARD) -> Move:
    """What is to be done at this moment.

    A release that is held stays so, save one that a guardrail held and lets go again; and any of them can be darkened.
    """
    if at.step > 0 and at.state in ("running", "held") and heard.outcome == "darken" and not at.is_dark:
        return Darken(Trouble("guardrail_darkened", heard.reason))
    if at.state == "scheduled":
        return _start(plan, at, now, heard)
    if at.state == "running":
        return _go_on(plan, at, now, heard)
    if at.state == "held" and at.held_by == GUARDRAIL and heard.outcome == "ok" and heard.trouble is None:
        return Recover()
    return Rest()


def waits_of(plan: Plan, at: Standing, now: Instant, heard: Heard = NOTHING_HEARD) -> tuple[Wait, ...]:
    """What must come before the next step is taken; empty if it can be taken, or if there is none."""
    waits = []
    if at.waits_until is not None and now < at.waits_until:
        waits.append(Wait("policy", until=at.waits_until))
    if at.step == 0:
        if at.due_at is None:
            waits.append(Wait("people"))
        elif now < at.due_at:
            waits.append(Wait("time", until=at.due_at))
    else:
        waits.extend(_waits_of_step(plan.steps[at.step - 1].advance, at, now, heard))
    missing = missing_approval(plan, at)
    return (*waits, missing) if missing is not None else tuple(waits)


def missing_approval(plan: Plan, at: Standing) -> Wait | None:
    """The approval that is still wanted before the next step: one person counts once, and only for this very plan."""
    need = plan.need_after(at.step)
    if need is None:
        return None
    given = {
        one.person
        for one in at.approvals
        if one.digest == plan.digest and one.step == at.step and need.role in one.roles
    }
    if len(given) >= need.count:
        return None
    return Wait("approval", role=need.role, have=len(given), need=need.count)


def _waits_of_step(advance: Advance | None, at: Standing, now: Instant, heard: Heard) -> list[Wait]:
    if advance is None:
        return [Wait("people")]
    waits = []
    if advance.after_ms is not None:
        until = (at.counts_from or 0) + advance.after_ms
        if now < until:
            waits.append(Wait("time", until=until))
    # A guardrail that the plan names must have looked at this very step.
    has_looked = heard.data_at is not None and heard.data_at >= (at.since or 0)
    if heard.outcome != "ok" or (advance.guardrails and not has_looked):
        waits.append(Wait("guardrail", guardrails=advance.guardrails))
    return waits


def _start(plan: Plan, at: Standing, now: Instant, heard: Heard) -> Move:
    if heard.trouble is not None:
        return Hold(heard.trouble)
    due = max(at.due_at or 0, at.waits_until or 0)
    if now > due + plan.overdue_ms:
        return Hold(Trouble("overdue", _overdue(plan, at)))
    waits = waits_of(plan, at, now, heard)
    return Rest(waits) if waits else Take(1)


def _overdue(plan: Plan, at: Standing) -> str:
    missing = missing_approval(plan, at)
    why = "" if missing is None else f": the approval of `{missing.role}` did not come"
    return f"it did not start within {plan.overdue_ms // 1000} s of its time{why}"


def _go_on(plan: Plan, at: Standing, now: Instant, heard: Heard) -> Move:
    if heard.outcome == "step_back":
        return StepBack(Trouble("guardrail_stepped_back", heard.reason))
    if heard.outcome != "ok" and (heard.is_tripped or now >= (at.since or 0) + PATIENCE_MS):
        return Hold(Trouble(GUARDRAIL, heard.reason))
    if heard.trouble is not None:
        return Hold(heard.trouble)
    if now < (at.counts_from or 0) - CLOCK_TOLERANCE_MS:
        return Hold(Trouble("clock_went_back", "the store's clock is behind the moment at which the step took effect"))
    waits = waits_of(plan, at, now, heard)
    if waits:
        return Rest(waits)
    return Take(at.step + 1) if at.step < len(plan.steps) else Finish()


def taken(plan: Plan, at: Standing, step: int, now: Instant) -> Standing:
    """Where it is once a step has taken effect."""
    state: State = "finished" if plan.ends_at(step) else "running"
    return replace(_settled(at), state=state, step=step, since=now, counts_from=now, is_dark=False)


def finished(at: Standing) -> Standing:
    return replace(_settled(at), state="finished")


def held(at: Standing, code: str, now: Instant) -> Standing:
    """A start that is held keeps its time, for people to see."""
    return replace(at, state="held", waits_until=None, held_at=now, held_by=code)


def recovered(at: Standing, now: Instant) -> Standing:
    """Going on; the time that it was held does not count, and what was before does."""
    return replace(at, state="running", counts_from=(at.counts_from or now) + max(0, now - (at.held_at or now)))


def went_back(at: Standing, step: int, code: str, now: Instant) -> Standing:
    """Held at an earlier step."""
    moment = now if step else None
    return replace(held(at, code, now), step=step, since=moment, counts_from=moment, due_at=None)


def darkened(at: Standing, code: str, now: Instant) -> Standing:
    return replace(held(at, code, now), is_dark=True)


def waiting(at: Standing, until: Instant) -> Standing:
    """Still scheduled or running, but the policy is not asked before that."""
    return replace(at, waits_until=until)


def resumed(at: Standing, now: Instant) -> Standing:
    """Going on from the step in effect, whose time counts anew; before the first step, waiting for its time again."""
    if at.step == 0:
        return replace(at, state="scheduled", waits_until=None)
    return replace(at, state="running", counts_from=now)


def scheduled(at: Standing, due_at: Instant | None) -> Standing:
    """To be started then; with None, whenever somebody says go."""
    return replace(at, state="draft" if due_at is None else "scheduled", due_at=due_at, waits_until=None)


def aborted(at: Standing) -> Standing:
    return replace(_settled(at), state="aborted")


def undone(at: Standing) -> Standing:
    return replace(_settled(at), state="undone", step=0, since=None, counts_from=None, is_dark=False)


def _settled(at: Standing) -> Standing:
    return replace(at, due_at=None, waits_until=None)
