"""What a change request would do now: the differences, and what contexts would get before and after.

By the very code that applies it and the very engine that evaluates for applications.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from greenroom.evaluation import Evaluation, evaluate, read_snapshot
from greenroom_server.change_requests.gate import Listening, standing_before, touched_by
from greenroom_server.change_requests.service_carrying import Target, carry_out, undone
from greenroom_server.change_requests.service_reading import Path, changes_of, get_matter
from greenroom_server.change_requests.wire import ChangeIn, EffectOut, EvaluatedOut, PreviewIn, PreviewOut
from greenroom_server.flags.gate import gate_of
from greenroom_server.flags.service_references import lit_uses_of_segment, uses_of_flag
from greenroom_server.flags.service_served import epoch, load_part
from greenroom_server.flags.work import Work


async def preview_request(work: Work, path: Path, wanted: PreviewIn) -> PreviewOut:
    """Nothing of it is kept. Takes the project's lock for a moment, as every dry run does."""
    matter = await get_matter(work, path, lock_project=True)
    project, environment, changes = matter.project, matter.environment, changes_of(matter.row)
    named = sorted({change.flag for change in changes if change.flag is not None})
    flags = await _affected(work, project, environment.key, changes) if wanted.contexts else []
    able = replace(work.principal, permissions=work.principal.permissions | {"production.write"})
    gate = Listening(gate_of(work.session), environment.key)
    before = await _evaluated(work, project, environment, flags, wanted)
    with standing_before(work.session, gate):
        async with undone(work.session):
            diff = await carry_out(replace(work, principal=able), Target(*path[:2]), changes)
            await work.session.flush()
            after = await _evaluated(work, project, environment, flags, wanted)
    effects = [
        EffectOut(context=index, flag=flag, before=_served(before[index, flag]), after=_served(after[index, flag]))
        for index in range(len(wanted.contexts))
        for flag in flags
        if flag in named or _served(before[index, flag]) != _served(after[index, flag])
    ]
    return PreviewOut(diff=diff, environments=sorted(touched_by(gate.heard.values())), effects=effects)


async def _affected(work: Work, project: Any, environment_key: str, changes: Sequence[ChangeIn]) -> list[str]:
    """The flags that are named, those that are on and use a segment that is, and those that wait for any of them."""
    found = {change.flag for change in changes if change.flag is not None}
    for change in changes:
        if change.segment is not None:
            uses = await lit_uses_of_segment(work, project, change.segment)
            found |= {flag.key for environment, flag in uses if environment.key == environment_key}
    pending = list(found)
    while pending:
        for flag, where, _ in await uses_of_flag(work, project, pending.pop()):
            if where.key == environment_key and flag.archived_at is None and flag.key not in found:
                found.add(flag.key)
                pending.append(flag.key)
    return sorted(found)


async def _evaluated(
    work: Work, project: Any, environment: Any, flags: Iterable[str], wanted: PreviewIn
) -> dict[tuple[int, str], Evaluation]:
    now_ms = int((wanted.at or work.now).timestamp() * 1000)
    found = {}
    for flag in flags:
        document = await load_part(work.session, project, environment, flag)
        snapshot = read_snapshot({**document, "epoch": await epoch(work.session)})
        for index, context in enumerate(wanted.contexts):
            found[index, flag] = evaluate(snapshot, flag, context, now_ms)
    return found


def _served(evaluation: Evaluation) -> EvaluatedOut:
    return EvaluatedOut(variant=evaluation.variant, value=evaluation.value, reason=evaluation.reason)
