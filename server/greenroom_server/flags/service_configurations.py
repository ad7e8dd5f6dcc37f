"""The verbs on what an environment serves: configurations, and the shortcuts a product manager means."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from greenroom.evaluation import explain, read_snapshot
from greenroom_server.errors import Conflict
from greenroom_server.flags.checks import check_configuration_of
from greenroom_server.flags.conditions import segments_in_rules
from greenroom_server.flags.documents import configured
from greenroom_server.flags.edits import apply_configuration
from greenroom_server.flags.patching import patched
from greenroom_server.flags.place import Configuration, Environment, Flag, Place, Project
from greenroom_server.flags.rollout import with_rollout
from greenroom_server.flags.service_gate import look_at_place
from greenroom_server.flags.service_place import Path, get_place
from greenroom_server.flags.service_publish import publish_place
from greenroom_server.flags.service_references import check_flag_references, uses_of_flag
from greenroom_server.flags.service_scope import find_place, get_project
from greenroom_server.flags.service_served import epoch, load_part
from greenroom_server.flags.wire import ConfigurationIn, ConfigurationOut, RolloutIn
from greenroom_server.flags.work import Outcome, Verdict, Work, require_environments


async def read_configuration(work: Work, path: Path) -> ConfigurationOut:
    return configuration_out(await get_place(work.session, path))


async def update_configuration(work: Work, path: Path, patch: Any) -> Outcome[ConfigurationOut]:
    """Change how the flag is served there."""
    place = await get_place(work.session, path, lock=True)
    work.check_version(place.configuration.version)
    wanted = patched(ConfigurationIn, configured(place.configuration), patch)
    return await _replace(work, place, wanted, "configuration.update")


async def replace_configuration(work: Work, path: Path, wanted: ConfigurationIn) -> Outcome[ConfigurationOut]:
    """Let the flag be served just so there: for whoever has made up the whole of it from what is there now."""
    place = await get_place(work.session, path, lock=True)
    work.check_version_if_named(place.configuration.version)
    return await _replace(work, place, wanted, "configuration.update")


async def switch_flag(work: Work, path: Path, *, enabled: bool) -> Outcome[ConfigurationOut]:
    """Switch the flag on or off there. Switching it to what it is changes nothing."""
    place = await get_place(work.session, path, lock=True)
    work.check_version_if_named(place.configuration.version)
    wanted = ConfigurationIn.model_validate({**configured(place.configuration), "enabled": enabled})
    return await _replace(work, place, wanted, "flag.enable" if enabled else "flag.disable")


async def roll_out(work: Work, path: Path, wanted: RolloutIn) -> Outcome[ConfigurationOut]:
    """Serve the variant to a share of the people whom no other rule takes, and the dark variant to the rest.

    Raising the share never takes the variant from anybody.
    """
    place = await get_place(work.session, path, lock=True)
    work.check_version_if_named(place.configuration.version)
    return await _replace(work, place, with_rollout(place.flag, place.configuration, wanted), "flag.rollout")


async def explain_evaluation(work: Work, path: Path, context: Mapping[str, Any], at: datetime | None) -> dict[str, Any]:
    """One evaluation step by step, by the engine that evaluates for applications."""
    project = await get_project(work.session, path[0])
    environment, flag, _ = await find_place(work.session, project, *path[1:])
    document = await load_part(work.session, project, environment, flag.key)
    snapshot = read_snapshot({**document, "epoch": await epoch(work.session)})
    now_ms = int((at or work.now).timestamp() * 1000)
    return explain(snapshot, flag.key, context, now_ms).to_dict()


async def require_right_to_serve(
    work: Work, project: Project, environment: Environment, flag: Flag, change: tuple[dict[str, Any], Any]
) -> None:
    """Raises `Forbidden` unless the caller may bring about `change` (before, wanted) there.

    Stopping a flag, or preparing one that is off and stays off, gives nobody anything that is not dark, so anybody
    who may change configurations may do it. Unless another flag waits for this one to be off.
    """
    before, wanted = change
    if wanted.enabled or wanted.off_variant != before["off_variant"]:
        require_environments(work, [environment], "this changes what is served in")
    elif before["enabled"] and environment.tier == "production" and not work.principal.allows("production.write"):
        for _, where, row in await uses_of_flag(work, project, flag.key):
            waits = any(one["flag"] == flag.key and wanted.off_variant in one["variants"] for one in row.prerequisites)
            if where.id == environment.id and row.enabled and waits:
                require_environments(work, [environment], "another flag is on while this one is off: this starts it in")


def configuration_out(place: Place) -> ConfigurationOut:
    row = place.configuration
    return ConfigurationOut.model_validate(
        {
            "flag": place.flag.key,
            "environment": place.environment.key,
            **configured(row),
            "reach": row.reach,
            "version": row.version,
            "revision": row.served_revision,
            "updated_at": row.updated_at,
        }
    )


def configuration_path(project_key: str, environment_key: str, key: str) -> str:
    return f"/api/v1/projects/{project_key}/environments/{environment_key}/flags/{key}"


def names_others_anew(before: Mapping[str, Any], row: Configuration) -> bool:
    """Whether the configuration now names flags or segments that it did not name before."""
    if row.prerequisites and row.prerequisites != before["prerequisites"]:
        return True
    return not segments_in_rules(row.rules) <= segments_in_rules(before["rules"])


async def _replace(work: Work, place: Place, wanted: ConfigurationIn, action: str) -> Outcome[ConfigurationOut]:
    """Check, permit, ask the release policy, publish and note. Needs a locked place."""
    project, environment, flag, row = place.project, place.environment, place.flag, place.configuration
    if flag.archived_at is not None:
        raise Conflict(f"flag `{flag.key}` is archived: restore it first", code="archived")
    before, bytes_before = configured(row), row.document_bytes
    if action != "flag.disable":  # whatever was stored, it can be switched off
        check_configuration_of(wanted.model_dump(), flag.type, flag.variants)
    await require_right_to_serve(work, project, environment, flag, (before, wanted))
    verdicts: Sequence[Verdict] = ()
    seen = await look_at_place(work, place)
    changes = apply_configuration(flag, row, wanted, work.now)
    if changes:
        verdicts = await seen.settle_place(place)
        await publish_place(work, place, may_grow=row.document_bytes > bytes_before)
        if names_others_anew(before, row):
            await check_flag_references(work, project, flag, [(environment, row)], own=f"/flags/{flag.key}")
        await work.note(project.key, action, configuration_path(project.key, environment.key, flag.key), changes)
    return Outcome(configuration_out(place), changes, verdicts)
