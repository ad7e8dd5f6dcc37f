"""The shortcut `set rollout percent`: one rule of a known shape, before the fallthrough."""

from collections.abc import Mapping
from typing import Any, Final

from greenroom.evaluation.limits import FULL
from greenroom_server.errors import Conflict, FieldError, Invalid
from greenroom_server.flags.documents import configured
from greenroom_server.flags.place import Configuration, Flag
from greenroom_server.flags.wire import ConfigurationIn, RolloutIn

ROLLOUT_RULE: Final = "rollout"


def with_rollout(flag: Flag, row: Configuration, wanted: RolloutIn) -> ConfigurationIn:
    """The configuration with the variant rolled out to so many; raises `Invalid`, or `Conflict` if the rule called
    `rollout` is one that this shortcut would spoil.
    """
    percent = _thousandths(wanted.percent)
    rules = list(row.rules)
    place = next((index for index, rule in enumerate(rules) if rule["id"] == ROLLOUT_RULE), len(rules))
    before: Mapping[str, Any] = rules.pop(place) if place < len(rules) else {}
    if before and ("when" in before or "rollout" not in before or "variant" not in before["serve"]):
        raise Conflict(
            f"the rule `{ROLLOUT_RULE}` was written by hand and does more than a rollout: change it with a patch",
            code="rule_in_the_way",
        )
    variant = wanted.variant or _live_variant(flag, row, before)
    if variant not in flag.variants:
        raise Invalid(errors=[FieldError("/variant", f"flag `{flag.key}` has no variant `{variant}`")])
    if variant == row.off_variant:
        raise Invalid(errors=[FieldError("/variant", f"`{variant}` is the dark variant, which the others get")])
    if percent < FULL:
        rollout = {**before.get("rollout", {}), "percent": percent}
        if wanted.bucket_by is not None:
            rollout["bucket_by"] = wanted.bucket_by
        described = {name: before[name] for name in ("description",) if name in before}
        rule = {"id": ROLLOUT_RULE, **described, "rollout": rollout, "serve": {"variant": variant}}
        rules.insert(place, rule)
    return ConfigurationIn.model_validate(
        {
            **configured(row),
            "enabled": row.enabled or wanted.enable,
            "rules": rules,
            "fallthrough": {"variant": variant if percent == FULL else row.off_variant},
        }
    )


def _thousandths(percent: float) -> int:
    exact = percent * 1000
    whole = round(exact)
    if abs(exact - whole) > 1e-6:
        raise Invalid(errors=[FieldError("/percent", "a percentage has at most three decimals")])
    return whole


def _live_variant(flag: Flag, row: Configuration, before: Mapping[str, Any]) -> str:
    """The variant that is being rolled out: of the rollout's rule, else of the fallthrough, else the first not dark."""
    for serve in (before.get("serve", {}), row.fallthrough):
        variant = serve.get("variant")
        if variant is not None and variant != row.off_variant:
            return str(variant)
    return next((name for name in flag.variants if name != row.off_variant), row.off_variant)
