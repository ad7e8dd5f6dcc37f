"""Names that must exist, and must not be given twice."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from greenroom_server.policy.document import CalendarRule, FlagLiveRule, PolicyDocument, Rule, SoakRule, SuitesRule
from greenroom_server.policy.remarks import Remark, path_of
from greenroom_server.policy.zones import zone_of

_SHOWN: Final = 10
_LISTS: Final = (
    "actions",
    "environments",
    "modes",
    "use",
    "require",
    "all_of",
    "roles",
    "sources",
    "builders",
    "branches",
)


def name_remarks(document: PolicyDocument) -> Iterator[Remark]:
    """Unknown and repeated names, in every part of the document but its tests."""
    try:
        zone_of(document.time_zone)
    except ValueError as error:
        yield Remark("/time_zone", str(error))
    yield from _rule_ids(document)
    for index, rule in enumerate(document.rules):
        yield from _in_rule(path_of("rules", index), rule, document)
    yield from _in_environments(document)
    for key, suite in document.suites.items():
        keys = suite.environment.keys if suite.environment else None
        yield from unknown(path_of("suites", key, "environment", "keys"), keys, document.environments, "environment")
    if glass := document.break_glass:
        ids = {rule.id for rule in document.rules}
        yield from unknown("/break_glass/never", glass.never, ids, "rule")
        yield from _repeated("/break_glass/roles", glass.roles)


def unknown(path: str, names: Iterable[str] | str | None, known: Collection[str], noun: str) -> Iterator[Remark]:
    """An error for each name that is not known; `path` is of the one name, or of their list."""
    listed = (
        [(path, names)] if isinstance(names, str) else [(f"{path}/{at}", one) for at, one in enumerate(names or ())]
    )
    there = ", ".join(f"`{name}`" for name in sorted(known)[:_SHOWN]) or "none"
    there += f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    for where, name in listed:
        if name not in known:
            yield Remark(where, f"there is no {noun} `{name}` in this policy; there is: {there}")


def _rule_ids(document: PolicyDocument) -> Iterator[Remark]:
    seen: dict[str, int] = {}
    for index, rule in enumerate(document.rules):
        first = seen.setdefault(rule.id, index)
        if first != index:
            path = path_of("rules", index, "id")
            yield Remark(path, f"`{rule.id}` is the id of rule {first} already: waivers and results go by it")


def _in_rule(path: str, rule: Rule, document: PolicyDocument) -> Iterator[Remark]:
    yield from unknown(f"{path}/environments", rule.environments, document.environments, "environment")
    match rule:
        case SuitesRule() if rule.require != "all":
            yield from unknown(f"{path}/require", rule.require, document.suites, "suite")
        case CalendarRule():
            yield from unknown(f"{path}/use", rule.use, document.calendars, "calendar")
        case SoakRule():
            yield from unknown(f"{path}/in", rule.in_, document.environments, "environment")
        case FlagLiveRule() if rule.build_live_in != "target":
            yield from unknown(f"{path}/build_live_in", rule.build_live_in, document.environments, "environment")
    for name in _LISTS:
        if isinstance(values := getattr(rule, name, None), tuple):
            yield from _repeated(f"{path}/{name}", values)


def _in_environments(document: PolicyDocument) -> Iterator[Remark]:
    known = document.environments
    for key, spec in known.items():
        path = path_of("environments", key)
        yield from unknown(f"{path}/after", spec.after, known, "environment")
        yield from _repeated(f"{path}/after", spec.after)
        yield from _repeated(f"{path}/slots", spec.slots)
        if spec.parity:
            yield from unknown(f"{path}/parity/of", spec.parity.of, known, "environment")
            if spec.parity.of == key:
                yield Remark(f"{path}/parity/of", "an environment is always like itself: name the one it stands for")
        if key in _before(key, document):
            yield Remark(f"{path}/after", f"`{key}` comes after itself, so nothing could ever go there")
        for at, other in enumerate(spec.after):
            if other in known and other != key and known[other].order >= spec.order:
                text = f"`{other}` comes before `{key}` but does not have the lower `order`"
                yield Remark(f"{path}/after/{at}", text, "warning")


def _before(key: str, document: PolicyDocument) -> set[str]:
    """All environments that must come before one."""
    found: set[str] = set()
    waiting = [key]
    while waiting:
        spec = document.environments.get(waiting.pop())
        fresh = set(spec.after if spec else ()) - found
        found |= fresh
        waiting += fresh
    return found


def _repeated(path: str, names: Iterable[str]) -> Iterator[Remark]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Remark(path, f"`{name}` is listed {count} times: once is enough")
