"""Whether the rules show that a story is done before it is released in production, and what they leave open.

C1: the entire suite ran. C2: it was demonstrated to customers. C3: nothing stands in the way of deploying.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from greenroom_server.policy.applicability import applies, environments_of, is_production_like
from greenroom_server.policy.document import DemoRule, PolicyDocument, Rule, SuitesRule
from greenroom_server.policy.facts import Mode
from greenroom_server.policy.remarks import Remark, path_of

# condition -> kinds of rules that can show it, and what to write if there is none
SHOWN_BY: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "C1": (
        frozenset({"suites", "evidence"}),
        "{id: c1-suite, kind: suites, condition: C1, actions: [deploy, release]}",
    ),
    "C2": (frozenset({"demo", "evidence"}), "{id: c2-demo, kind: demo, condition: C2, actions: [release]}"),
    "C3": (
        frozenset({"evidence", "obstacles", "suites", "health", "veto"}),
        "{id: c3-open, kind: obstacles, condition: C3, actions: [deploy, release]}",
    ),
}
# Kinds that belong to a condition, and do not show it alone.
_PART_OF: Final[Mapping[str, frozenset[str]]] = {"C2": frozenset({"parity"})}
_MODES: Final[tuple[Mode, ...]] = ("delivery", "deployment")
_TOLD: Final = {"test.unit": "unit", "test.component": "component", "test.acceptance": "acceptance"}


def coverage_remarks(document: PolicyDocument) -> Iterator[Remark]:
    """Errors where a release in production is possible without C1, C2 or C3; warnings where it is a near thing."""
    production = [key for key, spec in document.environments.items() if spec.tier == "production"]
    if not production:
        text = "no environment has the tier `production`, so that a release need not show C1 to C3 anywhere"
        yield Remark("/environments", text, "warning")
    for key in production:
        yield from _uncovered(key, document)
    for index, rule in enumerate(document.rules):
        path = path_of("rules", index)
        if rule.condition and rule.kind not in SHOWN_BY[rule.condition][0] | _PART_OF.get(rule.condition, frozenset()):
            kinds = _either(sorted(SHOWN_BY[rule.condition][0]))
            text = f"a rule of kind `{rule.kind}` does not show {rule.condition}: that is for kind {kinds}"
            yield Remark(f"{path}/condition", text, "warning")
    yield from _suites(document)
    yield from _left_open(document, production)


def _uncovered(environment: str, document: PolicyDocument) -> Iterator[Remark]:
    for condition, (kinds, example) in SHOWN_BY.items():
        shown = [rule for rule in document.rules if rule.condition == condition and rule.kind in kinds]
        for mode in _MODES:
            if not any(_counts(rule, document, environment, mode) for rule in shown):
                text = f"{condition} is not shown before a release in `{environment}` (mode {mode}): add {example}"
                hint = ", without `modes` and `effective_from`" if shown else ""
                yield Remark("/rules", text + hint)
                break


def _counts(rule: Rule, document: PolicyDocument, environment: str, mode: Mode) -> bool:
    # A rule that begins at some moment does not show anything before it, and nothing here knows what time it is.
    return rule.effective_from is None and applies(rule, document, "release", environment, mode)


def _suites(document: PolicyDocument) -> Iterator[Remark]:
    rules = [(index, rule) for index, rule in enumerate(document.rules) if isinstance(rule, SuitesRule)]
    for index, rule in rules:
        if not document.suites:
            yield Remark(path_of("rules", index), "requires suites, but none is declared: add them under `suites`")
        left = sorted(set(document.suites) - set(rule.require)) if rule.require != "all" else []
        if left and rule.condition == "C1":
            text = f"C1 is about the entire suite, and this leaves out {_listed(left)}: write `require: all`"
            yield Remark(path_of("rules", index, "require"), text, "warning")
    if document.suites and not rules:
        yield Remark("/suites", "no rule of kind `suites` requires them", "warning")
    kinds = {suite.kind for suite in document.suites.values()}
    if rules and document.suites and (absent := [word for kind, word in _TOLD.items() if kind not in kinds]):
        yield Remark(
            "/suites", f"the entire suite has unit, component and acceptance tests: no {_either(absent)}", "warning"
        )


def _left_open(document: PolicyDocument, production: list[str]) -> Iterator[Remark]:
    for key in production:
        for kind, action, why in (
            ("flags_dark", "deploy", "unfinished stories may be deployed without being dark"),
            ("flag_live", "release", "a flag may be released before the build that has its story is live"),
        ):
            if not any(rule.kind == kind and action in rule.actions for rule in _about(key, document)):
                text = f"{why} in `{key}`: add a rule of kind `{kind}` with `actions: [{action}]`"
                yield Remark("/rules", text, "warning")
    for index, rule in enumerate(document.rules):
        if isinstance(rule, DemoRule) and not any(is_production_like(key, document) for key in document.environments):
            text = "nothing that is demonstrated counts: mark an environment with `production_like: true`"
            yield Remark(path_of("rules", index), text)


def _about(environment: str, document: PolicyDocument) -> list[Rule]:
    return [rule for rule in document.rules if environment in environments_of(rule, document)]


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _either(names: list[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
