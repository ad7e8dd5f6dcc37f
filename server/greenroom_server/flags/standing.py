"""How a flag stands: its dark start, whom it reaches, and what stage of its life that makes."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Select, and_, case, func, select, true
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import col

from greenroom.evaluation import limits
from greenroom_server.flags.documents import flag_document
from greenroom_server.flags.place import Configuration, Flag, Serving
from greenroom_server.flags.tables import ConfigurationRow, EnvironmentRow, FlagRow
from greenroom_server.web.codec import write_json

Reach = Literal["none", "some", "all"]


def dark_configuration(flag: FlagRow, environment: EnvironmentRow, now: datetime) -> ConfigurationRow:
    """The configuration a flag starts with: off.

    The dark variant is `off`, or the first one; once switched on, `on`, or the second one, is served to all.
    """
    names = list(flag.variants)
    off_variant = "off" if "off" in flag.variants else names[0]
    live = "on" if "on" in flag.variants else next((name for name in names if name != off_variant), off_variant)
    row = ConfigurationRow(
        flag_id=flag.id,
        environment_id=environment.id,
        enabled=False,
        off_variant=off_variant,
        prerequisites=[],
        rules=[],
        fallthrough={"variant": live},
        served_revision=environment.revision,
        reach="none",
        document_bytes=0,
        updated_at=now,
    )
    derive(flag, row)
    return row


def derive(flag: Flag, row: Configuration) -> None:
    """Bring up to date what is derived on save: `reach` and `document_bytes`."""
    row.reach = reach_of(row)
    # Counted as if it were off and at the last revision of all, so that neither switching it nor time makes it longer:
    # a flag in a full environment can still be switched off.
    document = {**flag_document(flag, row), "enabled": False, "version": limits.MAX_INTEGER}
    row.document_bytes = len(write_json(document)) + len(flag.key) + 4


def reach_of(row: Configuration) -> Reach:
    """Whether nobody, some or all people get more than the dark variant."""
    if not row.enabled:
        return "none"
    served = _variants_served(row)
    if served <= {row.off_variant}:
        return "none"
    return "some" if row.off_variant in served or row.prerequisites else "all"


def is_dark(row: Serving, internal_segment: str | None = None) -> bool:
    """Whether nobody outside the internal segment can get anything but the dark variant, by any rule or fallthrough.

    Prerequisites only ever give the dark variant to more people, so they change nothing.
    """
    return not row.enabled or _variants_served(row, internal_segment) <= {row.off_variant}


def _variants_served(row: Serving, internal_segment: str | None = None) -> set[str]:
    served: set[str] = set()
    for rule in row.rules:
        if _takes_nobody(rule) or _is_within(rule.get("when"), internal_segment):
            continue
        served |= _variants_of(rule["serve"])
        if _takes_everybody(rule):
            return served
    return served | _variants_of(row.fallthrough)


def _is_within(condition: Any, segment: str | None) -> bool:
    """Whether only members of the segment can meet the condition."""
    if segment is None or not isinstance(condition, Mapping):
        return False
    if "all" in condition:
        return any(_is_within(part, segment) for part in condition["all"])
    return bool(condition.get("segment") == segment)


def _takes_nobody(rule: Mapping[str, Any]) -> bool:
    return "rollout" in rule and rule["rollout"]["percent"] == 0


def _takes_everybody(rule: Mapping[str, Any]) -> bool:
    return "when" not in rule and "rollout" not in rule and "variant" in rule["serve"]


def _variants_of(serve: Mapping[str, Any]) -> set[str]:
    if "variant" in serve:
        return {serve["variant"]}
    return {part["variant"] for part in serve["split"] if part["weight"] > 0}


def flags_with_lifecycle(today: date) -> tuple[Select[Any], ColumnElement[str]]:
    """A query of (flag, lifecycle), and the lifecycle as a condition can use it.

    archived; stale: past its expiry date; released: all get it in every production environment; rolling_out: some get
    it in production; testing: somebody gets it elsewhere; dark: nobody gets it anywhere.
    """
    tier, reach = col(EnvironmentRow.tier), col(ConfigurationRow.reach)
    production = tier == "production"
    # LATERAL: counted for the flags of the page, not for all flags of the installation.
    counts = (
        select(
            func.count().filter(production).label("production"),
            func.count().filter(and_(production, reach == "all")).label("production_all"),
            func.count().filter(and_(production, reach != "none")).label("production_some"),
            func.count().filter(and_(~production, reach != "none")).label("elsewhere_some"),
        )
        .join_from(ConfigurationRow, EnvironmentRow, col(EnvironmentRow.id) == col(ConfigurationRow.environment_id))
        .where(col(ConfigurationRow.flag_id) == col(FlagRow.id))
        .correlate(FlagRow)
        .lateral("counts")
    )
    lifecycle = case(
        (col(FlagRow.archived_at).is_not(None), "archived"),
        (
            and_(col(FlagRow.purpose).in_(("release", "experiment")), col(FlagRow.expires_on) < today),
            "stale",
        ),
        (and_(counts.c.production > 0, counts.c.production_all == counts.c.production), "released"),
        (counts.c.production_some > 0, "rolling_out"),
        (counts.c.elsewhere_some > 0, "testing"),
        else_="dark",
    )
    return select(FlagRow, lifecycle.label("lifecycle")).join(counts, true()), lifecycle
