"""Which rules of a policy bear on which request: the linter and the decision ask the same functions."""

from greenroom_server.policy.document import EnvironmentFilter, PolicyDocument, Rule
from greenroom_server.policy.facts import Mode


def environments_of(rule: Rule, document: PolicyDocument) -> tuple[str, ...]:
    """The environments that a rule is about, sorted: those that it names, else all of tier production."""
    if rule.environments is not None:
        return tuple(sorted(set(rule.environments)))
    return tuple(sorted(key for key, spec in document.environments.items() if spec.tier == "production"))


def is_about(rule: Rule, document: PolicyDocument, environment: str) -> bool:
    """Whether the environment is among `environments_of`."""
    if rule.environments is not None:
        return environment in rule.environments
    spec = document.environments.get(environment)
    return spec is not None and spec.tier == "production"


def applies(rule: Rule, document: PolicyDocument, action: str, environment: str, mode: Mode) -> bool:
    """Whether a rule is asked at all. `darken` is always allowed, so no rule applies to it."""
    return (
        action != "darken"
        and action in rule.actions
        and (rule.modes is None or mode in rule.modes)
        and is_about(rule, document, environment)
    )


def is_production_like(key: str, document: PolicyDocument) -> bool:
    """Whether what runs there shows how production behaves: marked so, held in parity, or production itself."""
    spec = document.environments[key]
    return spec.production_like or spec.parity is not None or spec.tier == "production"


def selected(wanted: EnvironmentFilter | None, document: PolicyDocument) -> tuple[str, ...]:
    """The environments that fit a filter, sorted; all fit none."""
    return tuple(sorted(key for key in document.environments if wanted is None or _fits(key, wanted, document)))


def _fits(key: str, wanted: EnvironmentFilter, document: PolicyDocument) -> bool:
    return (
        (wanted.keys is None or key in wanted.keys)
        and wanted.tier in (None, document.environments[key].tier)
        and wanted.production_like in (None, is_production_like(key, document))
    )
