"""What may stand together in a guardrail, and how it is kept. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from greenroom_server.errors import FieldError, Invalid
from greenroom_server.flags.patching import patched
from greenroom_server.guardrails.judging import Terms
from greenroom_server.guardrails.tables import GuardrailRow
from greenroom_server.guardrails.wire import (
    AlertSource,
    ComparisonCondition,
    Condition,
    GuardrailIn,
    OutcomesSource,
    PrometheusSource,
    Source,
    ThresholdCondition,
)

AUTHORED: Final = tuple(name for name in GuardrailIn.model_fields if name != "secret")

_SOURCE: Final[TypeAdapter[Any]] = TypeAdapter(Source)
_CONDITION: Final[TypeAdapter[Any]] = TypeAdapter(Condition)
_KINDED: Final = ("source", "condition")


def source_of(row: GuardrailRow) -> Source:
    source: Source = _SOURCE.validate_python(row.source)
    return source


def condition_of(row: GuardrailRow) -> Condition | None:
    if row.condition is None:
        return None
    condition: Condition = _CONDITION.validate_python(row.condition)
    return condition


def threshold_of(row: GuardrailRow) -> ThresholdCondition:
    """The condition of a source that takes no other."""
    return ThresholdCondition.model_validate(row.condition)


def terms_of(row: GuardrailRow) -> Terms:
    return Terms(row.action, timedelta(seconds=row.for_s), timedelta(seconds=row.max_age_s))  # type: ignore[arg-type]


def check(wanted: GuardrailIn) -> None:
    """Raises `Invalid` for members that do not go together."""
    source, condition = wanted.source, wanted.condition
    if isinstance(source, OutcomesSource):
        _check_outcomes(source, condition)
        if wanted.always_on:
            raise _wrong("/always_on", "`always_on`: outcomes are counted from the beginning of a step")
    elif source.kind in ("alert", "darkness"):
        if condition is not None:
            raise _wrong("/condition", f"`condition`: a source of the kind `{source.kind}` has none")
    elif not isinstance(condition, ThresholdCondition):
        raise _wrong(
            "/condition", f"`condition`: a source of the kind `{source.kind}` needs one of the kind `threshold`"
        )
    if wanted.secret is not None and not isinstance(source, PrometheusSource | AlertSource):
        raise _wrong("/secret", f"`secret`: a source of the kind `{source.kind}` has none")
    if wanted.max_age_s < 2 * wanted.interval_s:
        raise _wrong(
            "/max_age_s", "`max_age_s` must be twice `interval_s` at least, or one late answer holds every step"
        )


def changed(row: GuardrailRow, patch: Any) -> GuardrailIn:
    """The guardrail under a merge patch. A source or condition of another kind takes the place of the old one."""
    current: dict[str, Any] = {name: getattr(row, name) for name in AUTHORED}
    if isinstance(patch, Mapping):
        for name in _KINDED:
            new, old = patch.get(name), current[name]
            if isinstance(new, Mapping) and old is not None and new.get("kind", old["kind"]) != old["kind"]:
                current[name] = None
    return patched(GuardrailIn, current, patch)


def check_secret(row: GuardrailRow, wanted: GuardrailIn, patch: Any) -> None:
    """Raises `Invalid` if a secret would go to another place than it was given for, or alerts would have none."""
    is_named = isinstance(patch, Mapping) and "secret" in patch
    was, now = source_of(row), wanted.source
    if isinstance(now, AlertSource) and (was.kind != now.kind or is_named) and wanted.secret is None:
        raise _wrong("/secret", "`secret`: alerts need one")
    if row.secret is None or is_named or not isinstance(was, PrometheusSource):
        return
    if not isinstance(now, PrometheusSource) or _origin(now.url) != _origin(was.url):
        raise _wrong("/secret", "`secret` goes only to where it was given for: send it again, or null")


def is_another_measure(row: GuardrailRow, wanted: GuardrailIn) -> bool:
    """Whether what was read so far says nothing about it any more."""
    after = wanted.model_dump(mode="json")
    return any(getattr(row, name) != after[name] for name in _KINDED)


def _check_outcomes(source: OutcomesSource, condition: Condition | None) -> None:
    if condition is None:
        raise _wrong("/condition", "`condition` is missing")
    if isinstance(condition, ComparisonCondition) and source.against is None:
        raise _wrong("/source/against", "`against`: a comparison needs a variant to compare with")
    if isinstance(condition, ThresholdCondition) and source.against is not None:
        raise _wrong("/source/against", "`against`: a threshold compares with no variant")
    if source.against == source.variant:
        raise _wrong("/source/against", "`against` must be another variant")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _wrong(pointer: str, detail: str) -> Invalid:
    return Invalid(errors=[FieldError(pointer, detail)])
