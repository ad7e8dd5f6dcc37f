"""The smallest policy that decides: unit tests must pass, and nothing may stand in the way."""

from typing import Any, Final

from tests.blackbox.authoring import Author

POLICY: Final[dict[str, Any]] = {
    "schema": "release-policy/v1",
    "name": "web",
    "time_zone": "UTC",
    "environments": {"production": {"order": 10, "tier": "production"}},
    "suites": {"unit": {"kind": "test.unit"}},
    "rules": [
        {"id": "tested", "kind": "suites", "condition": "C1", "actions": ["deploy", "release"]},
        {"id": "shown", "kind": "demo", "condition": "C2", "actions": ["release"]},
        {"id": "clear", "kind": "obstacles", "condition": "C3", "actions": ["deploy", "release"]},
    ],
}


def put_in_force(author: Author, project: str, policy: dict[str, Any] = POLICY) -> None:
    """Let the policy decide in the project of this path, by its author's own word."""
    author.send("PATCH", f"{project}/policy-settings", {"four_eyes": False}, If_Match="*")
    author.send("POST", f"{project}/policies", policy)
    author.send("POST", f"{project}/policies/{policy['name']}/versions/1/activate", {})
