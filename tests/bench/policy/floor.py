"""The example policy of the guide, written out by hand: what a decision costs without an engine for policies.

It answers which rules do not pass, hashes the inputs, and knows no time but now: no `retry_at`, no `expires_at`, no
messages, no waivers, break-glass or schedules.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson

HOUR = 3_600_000
DAY = 24 * HOUR
ZONE = ZoneInfo("Europe/Berlin")
SUITES = {"unit": "test.unit", "component": "test.component", "acceptance": "test.acceptance"}
ILITIES = ("test.capacity", "test.availability", "test.security", "test.integration")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decide(inputs: dict[str, Any]) -> tuple[set[str], str]:
    """The rules that block, and the digest of the inputs."""
    facts, request, now = inputs["snapshot"], inputs["request"], inputs["now"]
    build = next(one for one in facts["builds"] if request["digest"] in one["digests"])
    current: dict[tuple[str, str | None], dict[str, Any]] = {}
    for one in facts["evidence"]:
        subject = one["subject"]
        if one["revoked_at"] is None and (
            subject["digest"] in build["digests"] or subject["commit"] == build["commit"]
        ):
            key = (one["kind"], one["suite"])
            if key not in current or current[key]["finished_at"] < one["finished_at"]:
                current[key] = one
    blocked = {name for name, passes in _rules(facts, build, current, now) if not passes}
    inputs_digest = hashlib.sha256(orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return blocked, inputs_digest


def _rules(facts: dict[str, Any], build: dict[str, Any], current: dict[Any, Any], now: int) -> list[tuple[str, bool]]:
    staging = [one for one in facts["deployments"] if one["environment"] == "staging"]
    there = [one for one in staging if one["digest"] in build["digests"] and not one["has_failed"]]
    last = max(there, key=lambda one: one["deployed_at"], default=None)
    local = (EPOCH + timedelta(milliseconds=now)).astimezone(ZONE)
    runway = local + timedelta(minutes=10)
    closes = {4: 12}.get(local.weekday(), 16 if local.weekday() < 4 else 0)
    return [
        ("c1-suite", all(_suite(current.get((kind, suite))) for suite, kind in SUITES.items())),
        ("c3-button", last is not None and last["manual_steps"] == 0 and last["duration_ms"] <= 600_000),
        ("c3-ilities", all(_fresh(current.get((kind, None)), now) for kind in ILITIES)),
        ("c3-open", not facts["vetoes"] and not any(one["scope"]["service"] == "shop" for one in facts["obstacles"])),
        ("origin", any(one["builder"] == "ci://main" and one["branch"] == "main" for one in facts["provenances"])),
        ("order", bool(there)),
        ("soak", any(now >= one["deployed_at"] + DAY for one in there)),
        ("hours", local.hour >= 9 and (runway.hour, runway.minute) < (closes, 0)),
        ("freeze", local.weekday() < 4 or (local.weekday() == 4 and local.hour < 18)),
        ("dark", all(one["is_dark"] for one in facts["flags"] if one["environment"] == "production")),
        ("business-go", any(_approves(one, build, now) for one in facts["approvals"])),
    ]


def _suite(one: dict[str, Any] | None) -> bool:
    return one is not None and one["outcome"] == "pass" and one["counts"]["total"] > 0


def _fresh(one: dict[str, Any] | None, now: int) -> bool:
    return one is not None and one["outcome"] == "pass" and now < one["finished_at"] + 30 * DAY


def _approves(one: dict[str, Any], build: dict[str, Any], now: int) -> bool:
    authors = {author for commit in build["commits"] for author in commit["authors"]}
    return bool(
        one["verdict"] == "approve"
        and one["digest"] in build["digests"]
        and "product" in one["roles"]
        and one["person"].lower() not in authors
        and now < one["at"] + 72 * HOUR
    )
