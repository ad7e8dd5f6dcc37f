"""What a release's steps do to its flags: all of them in the transaction of the step, by the verb that people use.

That verb asks the release policy, so nothing here can go past it; what it raises takes the whole step back.
"""

from collections.abc import Callable
from dataclasses import replace

from greenroom_server.errors import Conflict, NotFound
from greenroom_server.flags.documents import configured
from greenroom_server.flags.service_configurations import replace_configuration, switch_flag
from greenroom_server.flags.service_place import get_place
from greenroom_server.flags.wire import ConfigurationIn
from greenroom_server.flags.work import Changes, Work, differences, under
from greenroom_server.releases.service_links import links_of
from greenroom_server.releases.service_people import read_settings
from greenroom_server.releases.service_places import NO_SERVICE, lock_places
from greenroom_server.rollouts.agreement import agreed_by_plan
from greenroom_server.rollouts.plan import Reach, Trouble
from greenroom_server.rollouts.service_scope import Release
from greenroom_server.rollouts.serving import Config, Owner, Part, lights_when_enabled, narrowed, wanted
from greenroom_server.rollouts.tables import ReleaseFlagRow
from greenroom_server.rollouts.wire import ReleaseConflict
from greenroom_server.web.validation import parse

Made = Callable[[Owner, Part, Config], Config]


async def serve_step(work: Work, release: Release, step: int, *, force: bool) -> Changes:
    """Let the flags be served as the step has it; what changed, seen from the release.

    Raises `Conflict` with the code `flag_changed` if somebody else changed one since the release did, unless `force`.
    """
    if not force:
        await require_untouched(work, release)
    reaches = release.plan.steps[step - 1].reaches
    segment = (await read_settings(work, release.row.project)).internal_segment
    if segment is None and any(reach.is_internal for reach in reaches.values()):
        raise Conflict("the project names no internal segment in its release settings", code="no_internal_segment")
    if not release.written:
        await _take_up(work, release)

    def forward(owner: Owner, part: Part, current: Config) -> Config:
        return wanted(owner, part, reaches[part.flag], release.written[part.flag].before, current)

    async with agreed_by_plan(work, release):
        return await _write(work, release, forward)


async def serve_earlier(work: Work, release: Release, step: int, *, force: bool) -> Changes:
    """Take back what the steps after this one did; 0 is before the release. With `force`, what somebody else changed
    meanwhile stays as they left it.
    """
    if not force:
        await require_untouched(work, release)
    reaches = release.plan.steps[step - 1].reaches if step else {}

    def back(owner: Owner, part: Part, current: Config) -> Config:
        row = release.written[part.flag]
        earlier = wanted(owner, part, reaches.get(part.flag, Reach()), row.before, current)
        return narrowed(earlier, row.written, current)

    changes = await _write(work, release, back, only_there=force)
    if step == 0:
        for row in release.written.values():
            await work.session.delete(row)
        await work.session.flush()
        release.written = {}
    return changes


async def darken(work: Work, release: Release) -> Changes:
    """Switch all flags of the release off; one that is gone or archived serves nobody anyway."""
    changes: Changes = []
    for part in release.parts:
        path = _path(release, part)
        try:
            place = await get_place(work.session, path, lock=True)
        except NotFound:
            continue
        if place.flag.archived_at is None:
            done = await switch_flag(replace(work, if_match=None), path, enabled=False)
            changes += under(f"/flags/{part.flag}", done.changes)
            dark = {**configured(place.configuration), "enabled": False}
            await _remember(work, release, part.flag, dark, done.result.version)
    return changes


async def conflicts_of(work: Work, release: Release) -> list[ReleaseConflict]:
    """Where flags are not as the release left them; before it began, only those that are not there."""
    found = []
    for part in release.parts:
        gone, current, version = await _standing(work, release, part)
        row = release.written.get(part.flag)
        if gone is not None:
            found.append(ReleaseConflict(flag=part.flag, gone=gone, differences=[]))
        elif row is not None and version != row.flag_version:
            found.append(ReleaseConflict(flag=part.flag, gone=None, differences=differences(row.written, current)))
    return found


def trouble_of(conflicts: list[ReleaseConflict]) -> Trouble | None:
    """Why a release with these conflicts is held."""
    gone = [one.gone for one in conflicts if one.gone is not None]
    if gone:
        return Trouble("flag_gone", "; ".join(gone))
    if conflicts:
        told = [f"`{one.flag}` ({', '.join(change['path'] for change in one.differences[:3])})" for one in conflicts]
        return Trouble("flag_changed", f"somebody else changed {', '.join(told)} since the release did")
    return None


async def accept_changes(work: Work, release: Release) -> None:
    """From now on the flags count as the release's own, as they are."""
    for part in release.parts:
        gone, current, version = await _standing(work, release, part)
        if gone is not None:
            raise Conflict(gone, code="flag_gone")
        row = release.written.get(part.flag)
        if row is not None and current is not None and version != row.flag_version:
            await _remember(work, release, part.flag, current, version)


async def require_untouched(work: Work, release: Release) -> None:
    """Raises `Conflict` if a flag is gone, or if somebody else changed one since the release did."""
    trouble = trouble_of(await conflicts_of(work, release))
    if trouble is None:
        return
    if trouble.code == "flag_gone":
        raise Conflict(trouble.reason, code="flag_gone")
    hint = "look at `conflicts`, and say `force` to take what is there as it is"
    raise Conflict(f"{trouble.reason}: {hint}", code="flag_changed")


async def _take_up(work: Work, release: Release) -> None:
    """Remember what stood there before. Raises `Conflict` for a flag that this release cannot take up."""
    for part in release.parts:
        place = await get_place(work.session, _path(release, part), lock=True)
        before = configured(place.configuration)
        if part.variant not in place.flag.variants:
            raise Conflict(f"flag `{part.flag}` has no variant `{part.variant}` any more", code="variant_gone")
        if part.variant == before["off_variant"]:
            raise Conflict(f"`{part.variant}` is the dark variant of flag `{part.flag}`", code="variant_is_dark")
        if lights_when_enabled(before):
            detail = f"flag `{part.flag}` is off, with rules that would serve more than its dark variant once it is on"
            raise Conflict(f"{detail}: take them out, the steps say who is served", code="rules_in_the_way")
        row = ReleaseFlagRow(
            release_id=release.row.id,
            flag=part.flag,
            before=before,
            written=before,
            flag_version=place.configuration.version,
        )
        work.session.add(row)
        release.written[part.flag] = row
    await work.session.flush()


async def _write(work: Work, release: Release, made: Made, *, only_there: bool = False) -> Changes:
    await _lock_places(work, release)
    segment = (await read_settings(work, release.row.project)).internal_segment
    owner, changes = Owner(release.row.key, segment), Changes()
    for part in release.parts:
        gone, current, _ = await _standing(work, release, part)
        if gone is not None and only_there:
            continue
        if gone is not None or current is None:
            raise Conflict(gone, code="flag_gone")
        target = parse(ConfigurationIn, made(owner, part, current))
        done = await replace_configuration(replace(work, if_match=None), _path(release, part), target)
        changes += under(f"/flags/{part.flag}", done.changes)
        release.verdicts += done.verdicts
        await _remember(work, release, part.flag, target.model_dump(), done.result.version)
    return changes


async def _lock_places(work: Work, release: Release) -> None:
    """All that the release policy will lock for the flags one by one, at once and in the order of everybody."""
    links = await links_of(work.session, release.row.project_id, release.row.flags)
    services = {service for linked in links.values() for service in linked.services or (NO_SERVICE,)}
    await lock_places(work, release.row.project_id, [(service, release.row.environment) for service in services])


async def _remember(work: Work, release: Release, flag: str, written: Config, version: int) -> None:
    """Note how the release left a flag."""
    row = release.written[flag]
    row.written, row.flag_version = dict(written), version
    await work.session.flush()


async def _standing(work: Work, release: Release, part: Part) -> tuple[str | None, Config | None, int]:
    """Why the flag cannot be served there, if so; else its configuration, and which version of it."""
    try:
        place = await get_place(work.session, _path(release, part))
    except NotFound as error:
        return error.detail, None, 0
    if place.flag.archived_at is not None:
        return f"flag `{part.flag}` is archived", None, 0
    return None, configured(place.configuration), place.configuration.version


def _path(release: Release, part: Part) -> tuple[str, str, str]:
    return release.row.project, release.row.environment, part.flag
