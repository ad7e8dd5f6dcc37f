"""The first document of a policy, out of a commented template. It passes the linter and its own tests as it is."""

import json
import re
from collections.abc import Sequence
from importlib import resources
from string import Template
from typing import Final

from greenroom_server.policy.document import KEY_PATTERN
from greenroom_server.policy.zones import zone_of

TEMPLATES: Final = ("continuous-deployment", "business-release", "regulated")
_NO_TEXT: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off"})


def render_template(
    template: str,
    *,
    name: str,
    time_zone: str,
    environments: Sequence[str] = ("staging", "production"),
) -> str:
    """A policy as YAML, with its comments.

    `environments` are in the order in which a build passes them; the last is production, and the one before it stands
    for production. Raises ValueError.
    """
    if template not in TEMPLATES:
        raise ValueError(f"there is no template `{template}`; there is: {', '.join(TEMPLATES)}")
    for key in (name, *environments):
        if not re.fullmatch(KEY_PATTERN, key):
            raise ValueError(f"`{key}` is not allowed: use lower-case letters, digits, `.`, `_` and `-`")
    if len(environments) < 2 or len(set(environments)) < len(environments):
        raise ValueError("name at least two different environments: the last is production, and one comes before it")
    text = resources.files("greenroom_server.policy").joinpath("templates", f"{template}.yaml").read_text("utf-8")
    is_held = template == "regulated"
    stand_in = f"parity: {{of: {_scalar(environments[-1])}, max_age: 7d}}" if is_held else "production_like: true"
    return Template(text).substitute(
        name=_scalar(name),
        time_zone=zone_of(time_zone).key,
        environments="\n".join(_environment(index, environments, stand_in) for index in range(len(environments))),
        before=_scalar(environments[-2]),
        production=_scalar(environments[-1]),
    )


def _environment(index: int, environments: Sequence[str], stand_in: str) -> str:
    key, last = environments[index], len(environments) - 1
    tier = "production" if index == last else "development" if key.startswith("dev") else "staging"
    members = [f"order: {10 * (index + 1)}", f"tier: {tier}"]
    if index == last - 1:
        members.append(stand_in)
    if index > 0:
        members.append(f"after: [{_scalar(environments[index - 1])}]")
    return f"  {_scalar(key)}: {{{', '.join(members)}}}"


def _scalar(key: str) -> str:
    """Quoted where some reader of YAML would not take it for text."""
    return key if re.fullmatch(r"[a-z][a-z0-9-]+", key) and key not in _NO_TEXT else json.dumps(key)
