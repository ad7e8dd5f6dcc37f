"""The verbs on what an environment serves: configurations, and the shortcuts a product manager means."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from greenroom.evaluation import explain, read_snapshot
from greenroom_server.errors import Conflict, FieldError, Invalid, NotFound
from greenroom_server.flags.checks import check_configuration_of
from greenroom_server.flags.service_flags import configured
from greenroom_server.flags.service_publish import epoch, load_environment, publish
from greenroom_server.flags.service_references import check_references_in
from greenroom_server.flags.service_scope import (
    get_configuration,
    get_environment,
    get_flag,
    get_project,
)
from greenroom_server.flags.standing import derive
from greenroom_server.flags.tables import ConfigurationRow, EnvironmentRow, FlagRow, ProjectRow
from greenroom_server.flags.wire import ConfigurationIn, ConfigurationOut, RolloutIn
from greenroom_server.flags.work import Outcome, Work, differences, patched, plain, require_environments

ROLLOUT_RULE = "rollout"
_FULL = 100_000
Place = tuple[ProjectRow, EnvironmentRow, FlagRow, ConfigurationRow]


async def read_configuration(work: Work, project_key: str, environment_key: str, key: str) -> ConfigurationOut:
    return configuration_out(await find_place(work, project_key, environment_key, key))


async def update_configuration(work: Work, place: Place, patch: Any) -> Outcome[ConfigurationOut]:
    """Change how the flag is served there."""
    work.check_version(place[3].version)
    wanted = patched(ConfigurationIn, configured(place[3]), patch)
    return await replace_configuration(work, place, wanted, "configuration.update")


async def switch_flag(work: Work, place: Place, *, enabled: bool) -> Outcome[ConfigurationOut]:
    """Switch the flag on or off there. Switching it to what it is changes nothing."""
    work.check_version_if_named(place[3].version)
    wanted = ConfigurationIn.model_validate({**configured(place[3]), "enabled": enabled})
    return await replace_configuration(work, place, wanted, "flag.enable" if enabled else "flag.disable")


async def roll_out(work: Work, place: Place, wanted: RolloutIn) -> Outcome[ConfigurationOut]:
    """Serve the variant to a share of the people whom no other rule takes, and the dark variant to the rest.

    Raising the share never takes the variant from anybody.
    """
    _, _, flag, row = place
    work.check_version_if_named(row.version)
    percent = _thousandths(wanted.percent)
    variant = wanted.variant or _live_variant(flag, row)
    if variant not in flag.variants:
        raise Invalid(errors=[FieldError("/variant", f"flag `{flag.key}` has no variant `{variant}`")])
    rules = [rule for rule in row.rules if rule["id"] != ROLLOUT_RULE]
    bucket_by = wanted.bucket_by or _bucket_by(row)
    if percent < _FULL:
        rollout: dict[str, Any] = {"percent": percent}
        if bucket_by is not None:
            rollout["bucket_by"] = bucket_by
        rules.append({"id": ROLLOUT_RULE, "rollout": rollout, "serve": {"variant": variant}})
    configuration = ConfigurationIn.model_validate(
        {
            **configured(row),
            "enabled": row.enabled or wanted.enable,
            "rules": rules,
            "fallthrough": {"variant": variant if percent == _FULL else row.off_variant},
        }
    )
    return await replace_configuration(work, place, configuration, "flag.rollout")


async def explain_evaluation(
    work: Work, project_key: str, environment_key: str, key: str, context: Mapping[str, Any], at: datetime | None
) -> dict[str, Any]:
    """One evaluation step by step, by the engine that evaluates for applications."""
    project = await get_project(work.session, project_key)
    environment = await get_environment(work.session, project, environment_key)
    await get_flag(work.session, project, key)
    document = await load_environment(work.session, environment.id)
    if document is None:
        raise NotFound(f"there is no environment `{environment_key}`")
    snapshot = read_snapshot({**document, "epoch": await epoch(work.session)})
    now_ms = int((at or work.now).timestamp() * 1000)
    return explain(snapshot, key, context, now_ms).to_dict()


async def find_place(work: Work, project_key: str, environment_key: str, key: str, *, lock: bool = False) -> Place:
    """The rows behind a configuration's path; with `lock`, the project's lock is held."""
    project = await get_project(work.session, project_key, lock=lock)
    environment = await get_environment(work.session, project, environment_key)
    flag = await get_flag(work.session, project, key)
    return project, environment, flag, await get_configuration(work.session, flag, environment)


async def replace_configuration(
    work: Work, place: Place, wanted: ConfigurationIn, action: str
) -> Outcome[ConfigurationOut]:
    """The one way by which a configuration changes: checked, permitted, published and noted. Needs the lock."""
    project, environment, flag, row = place
    if flag.archived_at is not None:
        raise Conflict(f"flag `{flag.key}` is archived: restore it first", code="archived")
    check_configuration_of(wanted, flag.type, flag.variants)
    before = plain(configuration_out(place))
    refers_anew = _names_others(row, wanted)
    if not _is_safe_for_anybody(row, wanted):
        require_environments(work, [environment], "this changes what is served in")
    for name, value in wanted.model_dump().items():
        setattr(row, name, value)
    derive(flag, row)
    changes = differences(before, plain(configuration_out(place)))
    if not changes:
        return Outcome(configuration_out(place), changes)
    row.version, row.updated_at = row.version + 1, work.now
    await work.session.flush()
    if refers_anew:
        await check_references_in(work, project, environment)
    await publish(work, [environment], flag_keys=[flag.key])
    await work.session.refresh(row)
    path = configuration_path(project.key, environment.key, flag.key)
    await work.note(project.key, action, path, changes)
    return Outcome(configuration_out(place), changes)


def configuration_out(place: Place) -> ConfigurationOut:
    _, environment, flag, row = place
    return ConfigurationOut.model_validate(
        {
            "flag": flag.key,
            "environment": environment.key,
            **configured(row),
            "reach": row.reach,
            "version": row.version,
            "revision": row.served_revision,
            "updated_at": row.updated_at,
        }
    )


def configuration_path(project_key: str, environment_key: str, key: str) -> str:
    return f"/api/v1/projects/{project_key}/environments/{environment_key}/flags/{key}"


def _names_others(row: ConfigurationRow, wanted: ConfigurationIn) -> bool:
    return row.prerequisites != wanted.prerequisites or row.rules != wanted.rules


def _is_safe_for_anybody(row: ConfigurationRow, wanted: ConfigurationIn) -> bool:
    """Stopping a flag, or preparing one that is off and stays off, gives nobody anything that is not dark."""
    return not wanted.enabled and wanted.off_variant == row.off_variant


def _thousandths(percent: float) -> int:
    exact = percent * 1000
    whole = round(exact)
    if abs(exact - whole) > 1e-6:
        raise Invalid(errors=[FieldError("/percent", "a percentage has at most three decimals")])
    return whole


def _live_variant(flag: FlagRow, row: ConfigurationRow) -> str:
    """The variant that is being rolled out: of the rollout's rule, else of the fallthrough, else the first not dark."""
    serves: Sequence[Mapping[str, Any]] = [
        *(rule["serve"] for rule in row.rules if rule["id"] == ROLLOUT_RULE),
        row.fallthrough,
    ]
    for serve in serves:
        variant = serve.get("variant")
        if variant is not None and variant != row.off_variant:
            return str(variant)
    return next((name for name in flag.variants if name != row.off_variant), row.off_variant)


def _bucket_by(row: ConfigurationRow) -> str | None:
    for rule in row.rules:
        if rule["id"] == ROLLOUT_RULE:
            bucket_by: str | None = rule["rollout"].get("bucket_by")
            return bucket_by
    return None
