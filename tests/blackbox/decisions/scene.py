"""The smallest policy that decides: unit tests must pass, and nothing may stand in the way."""

POLICY = {
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
