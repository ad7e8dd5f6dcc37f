"""What is wrong or doubtful in single rules, and between them."""

from collections.abc import Iterator, Mapping
from typing import Final

from greenroom_server.policy.applicability import environments_of, selected
from greenroom_server.policy.document import (
    ApprovalRule,
    BreakGlassSpec,
    EvidenceRule,
    ParityRule,
    PolicyDocument,
    Rule,
    SlotRule,
    SoakRule,
)
from greenroom_server.policy.lint_calendars import unreadable
from greenroom_server.policy.remarks import Remark, path_of
from greenroom_server.policy.zones import read_local

_HOUR: Final = 3_600_000
MAX_GLASS_HOURS: Final = 4
# Kinds that look at what only some actions have.
ONLY_FOR: Final[Mapping[str, frozenset[str]]] = {
    "flags_dark": frozenset({"deploy", "switch", "rollback"}),
    "flag_live": frozenset({"release"}),
    "slot": frozenset({"deploy", "switch", "rollback"}),
    "concurrency": frozenset({"deploy", "switch", "rollback"}),
    "order": frozenset({"deploy", "switch", "rollback"}),
}


def rule_remarks(document: PolicyDocument) -> Iterator[Remark]:
    """Rules one by one, then suites and break-glass."""
    for index, rule in enumerate(document.rules):
        path = path_of("rules", index)
        yield from _reach(path, rule, document)
        yield from unreadable(f"{path}/effective_from", read_local, rule.effective_from)
        yield from _begins(path, rule)
        yield from _of_kind(path, rule, document)
    yield from _suites(document)
    yield from _approvers(document)
    if document.break_glass:
        yield from _break_glass(document.break_glass, document)


def _reach(path: str, rule: Rule, document: PolicyDocument) -> Iterator[Remark]:
    """Whether the rule can ever be asked."""
    actions = set(rule.actions) - {"darken"}
    if not environments_of(rule, document):
        text = "applies nowhere: without `environments` it is about those of tier `production`, and there is none"
        yield Remark(path, text)
    if not actions:
        yield Remark(f"{path}/actions", "never applies: `darken` is always allowed, so no rule is asked about it")
    elif "darken" in rule.actions:
        text = "`darken` is always allowed, so that the rule does not hold it up: leave it out"
        yield Remark(f"{path}/actions", text, "warning")
    wanted = ONLY_FOR.get(rule.kind)
    if wanted and actions and not actions & wanted:
        text = f"a rule of kind `{rule.kind}` never applies to these: it is for {', '.join(sorted(wanted))}"
        yield Remark(f"{path}/actions", text)
    if rule.modes == ("hold",):
        yield Remark(f"{path}/modes", "on hold nothing goes, so that the rule changes nothing", "warning")
    if "rollback" in actions and rule.kind in ("calendar", "approval", "soak", "suites", "evidence", "demo"):
        text = f"holds a rollback up by its {rule.kind}: a way back that needs nothing is safer"
        yield Remark(f"{path}/actions", text, "warning")


def _begins(path: str, rule: Rule) -> Iterator[Remark]:
    if rule.effective_from is not None and rule.condition is not None:
        text = f"only warns before {rule.effective_from}, and so does not count as showing {rule.condition}: "
        yield Remark(f"{path}/effective_from", text + "leave `effective_from` out once that has passed", "warning")


def _of_kind(path: str, rule: Rule, document: PolicyDocument) -> Iterator[Remark]:
    match rule:
        case EvidenceRule():
            yield from _evidence(path, rule)
        case SoakRule():
            yield from _soak(path, rule, document)
        case ParityRule():
            yield from _parity(path, rule, document)
        case ApprovalRule():
            yield from _approval(path, rule)
        case SlotRule():
            for key in environments_of(rule, document):
                if key in document.environments and not document.environments[key].slots:
                    yield Remark(path, f"`{key}` has no `slots`, so that the rule says nothing about it", "warning")


def _evidence(path: str, rule: EvidenceRule) -> Iterator[Remark]:
    if (rule.evidence is None) == (rule.all_of is None):
        yield Remark(path, "write either `evidence: test.security` or `all_of: [test.security, test.capacity]`")


def _soak(path: str, rule: SoakRule, document: PolicyDocument) -> Iterator[Remark]:
    if rule.in_ in environments_of(rule, document):
        yield Remark(f"{path}/in", f"a build cannot soak in `{rule.in_}` before it may go there: name one before it")
    place = document.environments.get(rule.in_)
    for key in environments_of(rule, document):
        if (
            place
            and key != rule.in_
            and key in document.environments
            and document.environments[key].order <= place.order
        ):
            yield Remark(f"{path}/in", f"`{rule.in_}` does not have a lower `order` than `{key}`", "warning")
    for other in document.rules:
        if isinstance(other, EvidenceRule) and other.max_age is not None and other.max_age <= rule.for_:
            text = f"soaks for as long as the evidence of `{other.id}` lasts, which is stale before the soak is over"
            yield Remark(f"{path}/for", text, "warning")
    for key, suite in document.suites.items():
        if suite.max_age is not None and suite.max_age <= rule.for_:
            text = f"soaks for as long as the suite `{key}` lasts, which is stale before the soak is over"
            yield Remark(f"{path}/for", text, "warning")


def _parity(path: str, rule: ParityRule, document: PolicyDocument) -> Iterator[Remark]:
    stood_for = {spec.parity.of for spec in document.environments.values() if spec.parity}
    for key in [rule.of] if rule.of else environments_of(rule, document):
        if key not in stood_for:
            text = f"no environment is held in parity with `{key}`: give one `parity: {{of: {key}, max_age: 7d}}`"
            yield Remark(f"{path}/of" if rule.of else path, text)


def _approval(path: str, rule: ApprovalRule) -> Iterator[Remark]:
    if not {"author", "requester"} <= set(rule.distinct_from):
        text = "who wrote the code or asks may approve it: write `distinct_from: [author, requester]`"
        yield Remark(path, text, "warning")
    if rule.modes is None:
        text = "in mode deployment builds go by themselves, and this waits for a person: write `modes: [delivery]`, or "
        yield Remark(path, text + "`modes: [delivery, deployment]` if that is meant", "warning")
    if rule.count > 1:
        text = f"waits for ever unless {rule.count} different people have the role `{rule.role}`; for a view from "
        yield Remark(f"{path}/count", text + "somewhere else write a rule for another role", "warning")


def _suites(document: PolicyDocument) -> Iterator[Remark]:
    for key, suite in document.suites.items():
        if suite.bind == "commit" and suite.kind != "test.unit":
            text = f"`{suite.kind}` says more about the artifact than about its source: write `bind: digest`"
            yield Remark(path_of("suites", key, "bind"), text, "warning")
        if not selected(suite.environment, document):
            text = "no environment fits, so that the suite can never pass"
            yield Remark(path_of("suites", key, "environment"), text)


def _approvers(document: PolicyDocument) -> Iterator[Remark]:
    """Rules that take their people from the same role, each of whom fills one place."""
    seen: dict[str, str] = {}
    for index, rule in enumerate(document.rules):
        if isinstance(rule, ApprovalRule) and not rule.reuse_person:
            first = seen.setdefault(rule.role, rule.id)
            if first != rule.id:
                text = f"needs another person with role `{rule.role}` than `{first}`, or `reuse_person: true`"
                yield Remark(path_of("rules", index, "role"), text, "warning")


def _break_glass(glass: BreakGlassSpec, document: PolicyDocument) -> Iterator[Remark]:
    approving = {rule.role for rule in document.rules if isinstance(rule, ApprovalRule)}
    for index, role in enumerate(glass.roles):
        if role in approving:
            text = f"`{role}` also approves: whoever waits for nobody else there can break the glass as well"
            yield Remark(path_of("break_glass", "roles", index), text, "warning")
    if glass.confirm_by == 1:
        yield Remark("/break_glass/confirm_by", "one person alone can break the glass: write 2", "warning")
    if glass.max_ttl > MAX_GLASS_HOURS * _HOUR:
        yield Remark("/break_glass/max_ttl", f"is at most {MAX_GLASS_HOURS}h: a glass that stays broken is no door")
    unshaken = [rule.id for rule in document.rules if not rule.waivable and rule.condition and rule.id in glass.never]
    for rule_id in unshaken:
        text = f"`{rule_id}` can be neither waived nor overridden: without its evidence nothing goes, not even a repair"
        yield Remark("/break_glass/never", text, "warning")
