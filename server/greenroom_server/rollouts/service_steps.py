"""The moves of a release: what each does to flags, standing and history, and the events that tell of it.

INVARIANT: everything that a move does commits together or not at all: flags, standing, history, audit events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from greenroom_server.flags.work import Changes, Work
from greenroom_server.policy.facts import Instant
from greenroom_server.rollouts import plan as planning
from greenroom_server.rollouts.plan import Standing, Trouble
from greenroom_server.rollouts.schedule import instant_of, moment_at
from greenroom_server.rollouts.service_scope import Release, write_standing
from greenroom_server.rollouts.service_serving import darken, serve_earlier, serve_step
from greenroom_server.rollouts.tables import ReleaseMoveRow

Kind = Literal["step", "back", "dark", "undo"]
# A held release tells why in its event; the whole decision stands in the decisions and in the release.
_TOLD: Final = ("code", "reason")


@dataclass(frozen=True, slots=True)
class Why:
    """The reason that somebody gave, and whether they insist."""

    reason: str = ""
    force: bool = False


async def take_step(work: Work, release: Release, step: int, why: Why, **others: Any) -> Changes:
    """Let a step take effect; the first one starts the release, and one that nothing follows finishes it."""
    before, now = release.at, _now(work)
    served = await serve_step(work, release, step, force=why.force)
    at = planning.taken(release.plan, before, step, now)
    moved = _moved(before, at)
    await write_standing(work, release, at, hold=None, **others)
    _enter(work, release, "step", before.step, why)
    if before.step == 0:
        await note(work, release, "started", [*moved, *_reason(why)])
    await note(work, release, "step", [*moved, *served, *_reason(why)])
    if at.state == "finished":
        await note(work, release, "finished", moved)
    return [*moved, *served]


async def finish(work: Work, release: Release, why: Why) -> Changes:
    """The last step was waited out, or somebody says that it is enough."""
    at = planning.finished(release.at)
    changes = _moved(release.at, at)
    await write_standing(work, release, at, hold=None)
    await note(work, release, "finished", [*changes, *_reason(why)])
    return changes


async def hold(work: Work, release: Release, trouble: Trouble, decision: Mapping[str, Any] | None = None) -> Changes:
    """Stay where it is, and tell why."""
    at = planning.held(release.at, trouble.code, _now(work))
    told = _hold(work, trouble, decision)
    changes = [*_moved(release.at, at), _told(told)]
    await write_standing(work, release, at, hold=told)
    await note(work, release, "held", changes)
    return changes


async def recover(work: Work, release: Release) -> Changes:
    """Go on, since what a guardrail held is well again."""
    at = planning.recovered(release.at, _now(work))
    changes = _moved(release.at, at)
    await write_standing(work, release, at, hold=None)
    await note(work, release, "resumed", changes)
    return changes


async def wait(
    work: Work, release: Release, trouble: Trouble, decision: Mapping[str, Any] | None, until: Instant
) -> Changes:
    """Stay where it is until then; the policy is asked again, and nobody has to do anything."""
    told = _hold(work, trouble, decision)
    moment = moment_at(until).isoformat()
    changes = [{"path": "/waits_until", "op": "add", "to": moment}, _told(told)]
    await write_standing(work, release, planning.waiting(release.at, until), hold=told)
    await note(work, release, "waits", changes)
    return changes


async def step_back(work: Work, release: Release, trouble: Trouble) -> Changes:
    """To the step before, and hold; what somebody else changed meanwhile stays as they left it."""
    before = release.at
    served = await serve_earlier(work, release, before.step - 1, force=True)
    at = planning.went_back(before, before.step - 1, trouble.code, _now(work))
    return await _set_back(work, release, at, "back", trouble, served)


async def go_dark(work: Work, release: Release, trouble: Trouble) -> Changes:
    """All flags off, and hold."""
    served = await darken(work, release)
    at = planning.darkened(release.at, trouble.code, _now(work))
    return await _set_back(work, release, at, "dark", trouble, served)


async def undo(work: Work, release: Release, step: int, why: Why) -> Changes:
    """Back to what was served at an earlier step, and hold there; 0 is before the release, and the end of it."""
    before = release.at
    served = await serve_earlier(work, release, step, force=why.force)
    told = _hold(work, Trouble("undone", why.reason or "its last step was undone")) if step else None
    at = planning.went_back(before, step, "undone", _now(work)) if step else planning.undone(before)
    changes = [*_moved(before, at), *served]
    await write_standing(work, release, at, hold=told, is_dark=False)
    _enter(work, release, "undo", before.step, why)
    await note(work, release, "undone", [*changes, *_reason(why)])
    return changes


async def note(work: Work, release: Release, what: str, changes: Changes) -> None:
    await work.note(release.row.project, f"release.{what}", release.path, changes)


async def _set_back(
    work: Work, release: Release, at: Standing, kind: Kind, trouble: Trouble, served: Changes
) -> Changes:
    before = release.at
    told = _hold(work, trouble)
    changes = [*_moved(before, at), *served, _told(told)]
    await write_standing(work, release, at, hold=told)
    _enter(work, release, kind, before.step, Why(trouble.reason))
    await note(work, release, "held", changes)
    return changes


def _enter(work: Work, release: Release, kind: Kind, from_step: int, why: Why) -> None:
    work.session.add(
        ReleaseMoveRow(
            release_id=release.row.id,
            version=release.row.version,
            kind=kind,
            from_step=from_step,
            to_step=release.at.step,
            at=work.now,
            actor=work.principal.person or work.principal.actor,
            reason=why.reason,
        )
    )


def _moved(before: Standing, after: Standing) -> Changes:
    return [
        {"path": f"/{name}", "op": "replace", "from": getattr(before, name), "to": getattr(after, name)}
        for name in ("state", "step", "is_dark")
        if getattr(before, name) != getattr(after, name)
    ]


def _hold(work: Work, trouble: Trouble, decision: Mapping[str, Any] | None = None) -> dict[str, Any]:
    told = None if decision is None else dict(decision)
    return {"code": trouble.code, "reason": trouble.reason, "decision": told, "at": work.now.isoformat()}


def _told(hold: Mapping[str, Any]) -> dict[str, Any]:
    return {"path": "/hold", "op": "add", "to": {name: hold[name] for name in _TOLD}}


def _reason(why: Why) -> Changes:
    return [{"path": "/reason", "op": "add", "to": why.reason}] if why.reason else []


def _now(work: Work) -> int:
    now = instant_of(work.now)
    assert now is not None  # noqa: S101 (for the type checker)
    return now
