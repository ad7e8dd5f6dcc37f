"""An explanation, as `POST …/evaluate` gives it, as a tree: each step, and what made it hold or not."""

import json
from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text
from rich.tree import Tree

from greenroom.cli import sentences
from greenroom.cli.screen import visible

Document = Mapping[str, Any]

_MARKS: Final = {True: ("✓ ", "green"), False: ("✗ ", "dim")}


def tree_of(explanation: Document) -> Tree:
    """The steps in order; below a rule its condition, and below that the segments it names."""
    tree = Tree(Text(visible(explanation["flag"]), style="bold"))
    for step in explanation["steps"]:
        _add_step(tree, step, explanation["segments"])
    tree.add(Text(f"→ {visible(outcome(explanation['result']))}", style="bold"))
    return tree


def outcome(result: Document) -> str:
    """`on = true (SPLIT, rule rollout)`."""
    if result["error_code"] is not None:
        return f"{result['error_code']}: {result['error_message'] or 'the application gets its own default'}"
    because = [result["reason"], *(f"rule {rule}" for rule in [result["metadata"].get("rule")] if rule)]
    return f"{result['variant']} = {json.dumps(result['value'], ensure_ascii=False)} ({', '.join(because)})"


def _add_step(tree: Tree, step: Document, segments: Document) -> None:
    match step["step"]:
        case "flag":
            tree.add(_line(False, step.get("error") or "no such flag is served here"))
        case "enabled":
            tree.add(_line(step["enabled"], "enabled" if step["enabled"] else "switched off"))
        case "prerequisite":
            served = step["served"] if step["found"] else "nothing: there is no such flag"
            needed = " or ".join(step["variants"])
            tree.add(_line(step["met"], f"needs {step['flag']} to serve {needed}; it serves {served}"))
        case "rule":
            described = f" ({step['description']})" if step["description"] else ""
            served = f": {step['served']}" if step["matched"] and step.get("served") else ""
            branch = tree.add(_line(step["matched"], f"rule {step['rule']}{described}{served}"))
            if "when" in step:
                _add_condition(branch, step["when"], segments)
            if "rollout" in step:
                branch.add(_line(step["rollout"]["inside"], _rollout(step["rollout"])))
            if "split" in step:
                branch.add(Text(visible(_split(step["split"]))))
        case "fallthrough":
            branch = tree.add(_line(True, f"everybody else: {step['served']}"))
            if "split" in step:
                branch.add(Text(visible(_split(step["split"]))))
        case _:
            tree.add(Text(visible(json.dumps(step, ensure_ascii=False))))


def _add_condition(tree: Tree, when: Document, segments: Document) -> None:
    holds = bool(when["holds"])
    for name, title in (("all", "all of"), ("any", "any of")):
        if name in when:
            branch = tree.add(_line(holds, title))
            for part in when[name]:
                _add_condition(branch, part, segments)
            return
    if "not" in when:
        _add_condition(tree.add(_line(holds, "not")), when["not"], segments)
    elif "segment" in when:
        branch = tree.add(_line(holds, f"in segment {when['segment']}"))
        inner = segments.get(when["segment"])
        if inner is not None and len(inner) > 1:
            _add_condition(branch, inner, segments)
    else:
        tree.add(_line(holds, f"{sentences.condition(when)}{_seen(when)}"))


def _seen(clause: Document) -> str:
    if clause.get("missing"):
        return "; it is missing"
    return f"; it is {json.dumps(clause['value'], ensure_ascii=False)}" if "value" in clause else ""


def _rollout(drawn: Document) -> str:
    share = sentences.percent(drawn["percent"])
    if drawn["bucket"] is None:
        return f"{share}: {drawn['attribute']} is missing"
    return f"{share}: {_drawn(drawn)}, {'below' if drawn['inside'] else 'not below'} {drawn['percent']}"


def _split(drawn: Document) -> str:
    if drawn["bucket"] is None:
        return f"split: {drawn['attribute']} is missing"
    weights = ", ".join(f"{sentences.percent(one['weight'])} {one['variant']}" for one in drawn["weights"])
    return f"split {weights}: {_drawn(drawn)}"


def _drawn(drawn: Document) -> str:
    value = json.dumps(drawn["value"], ensure_ascii=False)
    return f"{drawn['attribute']} {value} in group {drawn['group']} is bucket {drawn['bucket']}"


def _line(holds: bool, text: str) -> Text:
    mark, style = _MARKS[holds]
    return Text.assemble((mark, style), visible(text))
