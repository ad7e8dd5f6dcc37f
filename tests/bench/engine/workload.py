"""The six workloads: what the flags are, for whom they are evaluated, and the right answers.

W1 boolean, on, no rules. W2 five rules of two conditions, only the fifth matches. W3 a 25 % rollout. W4 a segment of
1,000 ids. W5 a prerequisite and a 4-way split of JSON values. W6 all of 200 flags (40 % W1, 20 % W2, 20 % W3, 10 % W4,
10 % W5) for one context.
"""

import random
import uuid
from typing import Any

NORDIC = ["SE", "NO", "DK", "FI", "IS"]
ANGLO = ["US", "CA", "GB", "AU", "NZ"]
VARIANTS = ["a", "b", "c", "d"]
WEIGHTS = [10, 20, 30, 40]
PATTERN = ["w1", "w1", "w2", "w3", "w1", "w4", "w1", "w2", "w3", "w5"]
FLAGS = 200
OFF_FLAG = "w1-0001"
GATED_FLAG = "w5-0019"
KEYS = {"W1": "w1-0000", "W2": "w2-0002", "W3": "w3-0003", "W4": "w4-0005", "W5": "w5-0009"}
NOW_MS = 1_795_410_000_000

Json = dict[str, Any]


def payload(variant: str) -> Json:
    """A JSON value of W5."""
    limits = {"max": 10, "burst": 20}
    return {"variant": variant, "title": "Checkout " + variant.upper(), "limits": limits, "tags": ["x", "y"]}


def contexts(number: int = 1000) -> list[Json]:
    """The people. All of them match only the fifth rule of W2."""
    rng = random.Random(20240607)
    return [
        {
            "targetingKey": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "country": NORDIC[i % 5],
            "plan": "pro",
            "appVersion": f"3.{i % 10}.{i % 7}",
            "email": f"user{i}@corp.example",
            "age": 19 + i % 46,
        }
        for i in range(number)
    ]


def probes() -> list[tuple[Json, str]]:
    """Contexts for verification only, with the variant of W2 that each must be served."""
    base = {
        "targetingKey": "probe",
        "country": "BR",
        "plan": "free",
        "appVersion": "1.0.0",
        "email": "x@other.example",
        "age": 10,
    }
    return [
        (base | {"country": "GB", "plan": "enterprise"}, "v1"),
        (base | {"plan": "pro", "appVersion": "4.60.0"}, "v2"),
        (base | {"appVersion": "3.0.0", "email": "k@partner.example"}, "v3"),
        (base | {"email": "k@corp.example", "age": 66}, "v4"),
        (base | {"country": "IS", "age": 19}, "v5"),
        (base, "v0"),
        (base | {"country": "GB"}, "v0"),
        (base | {"plan": "pro", "appVersion": "3.99.99"}, "v0"),
        (base | {"country": "SE", "age": 18}, "v0"),
    ]


def members() -> dict[str, list[str]]:
    """Four lists of 1,000 ids: 500 of the people and 500 strangers each."""
    ids = [context["targetingKey"] for context in contexts()]
    lists = {}
    for j in range(4):
        rng = random.Random(1000 + j)
        strangers = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(500)]
        lists[f"seg-{j}"] = rng.sample(ids, 500) + strangers
        rng.shuffle(lists[f"seg-{j}"])
    return lists


def _clause(attribute: str, op: str, *values: Any) -> Json:
    return {"attribute": attribute, "op": op, "values": list(values)}


def _rules(i: int) -> list[Json]:
    pairs = [
        (_clause("country", "in", *ANGLO), _clause("plan", "in", "enterprise")),
        (_clause("plan", "in", "pro"), _clause("appVersion", "semver_gte", f"4.{i % 50}.0")),
        (_clause("appVersion", "semver_gte", "3.0.0"), _clause("email", "ends_with", "@partner.example")),
        (_clause("email", "ends_with", "@corp.example"), _clause("age", "gt", 65)),
        (_clause("country", "in", *NORDIC), _clause("age", "gt", 18)),
    ]
    return [
        {"id": f"r-{n}", "when": {"all": list(pair)}, "serve": {"variant": f"v{n}"}}
        for n, pair in enumerate(pairs, start=1)
    ]


def _flag(i: int) -> Json:
    kind = PATTERN[i % 10]
    key = f"{kind}-{i:04d}"
    flag: Json = {
        "key": key,
        "type": "boolean",
        "variants": {"on": True, "off": False},
        "version": 1,
        "client_visible": False,
        "track_exposures": "counts",
        "enabled": key != OFF_FLAG,
        "off_variant": "off",
        "prerequisites": [],
        "rules": [],
        "fallthrough": {"variant": "on" if kind == "w1" else "off"},
    }
    if kind == "w2":
        flag |= {"type": "string", "variants": {f"v{n}": f"v{n}" for n in range(6)}, "rules": _rules(i)}
        flag |= {"off_variant": "v0", "fallthrough": {"variant": "v0"}}
    elif kind == "w3":
        flag["rules"] = [{"id": "r-1", "rollout": {"percent": 25_000}, "serve": {"variant": "on"}}]
    elif kind == "w4":
        flag["rules"] = [{"id": "r-1", "when": {"segment": f"seg-{i // 10 % 4}"}, "serve": {"variant": "on"}}]
    elif kind == "w5":
        needed = OFF_FLAG if key == GATED_FLAG else f"w1-{i - i % 10:04d}"
        split = [{"variant": v, "weight": w * 1000} for v, w in zip(VARIANTS, WEIGHTS, strict=True)]
        flag |= {"type": "object", "variants": {"none": {}} | {v: payload(v) for v in VARIANTS}, "off_variant": "none"}
        flag |= {"prerequisites": [{"flag": needed, "variants": ["on"]}], "fallthrough": {"split": split}}
    return flag


def snapshot_document() -> Json:
    """All flags and segments as a snapshot."""
    segments = {
        key: {"key": key, "version": 1, "when": _clause("targetingKey", "in", *ids)} for key, ids in members().items()
    }
    return {
        "schema": 1,
        "project": "bench",
        "environment": "production",
        "epoch": "bench",
        "revision": 1,
        "published_at": "2026-11-23T05:00:00.000Z",
        "flags": {flag["key"]: flag for flag in map(_flag, range(FLAGS))},
        "segments": segments,
    }


class WrongAnswer(Exception):
    """a contestant answers wrongly, so its time means nothing"""


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise WrongAnswer(what)


def verify_one(workload: str, values: list[Any], people: list[Json]) -> None:
    """Raise WrongAnswer unless these are the right values for the people, in order."""
    _check(len(values) == len(people), f"{workload}: {len(values)} answers for {len(people)} people")
    if workload == "W1":
        _check(all(value is True for value in values), "W1 is not on for all")
    elif workload == "W2":
        _check(all(value == "v5" for value in values), "W2 is not v5 for all")
    elif workload == "W3":
        _check(0.2 <= sum(values) / len(values) <= 0.3, "W3 is not on for a quarter")
    elif workload == "W4":
        chosen = set(members()["seg-0"])
        rightly = all(value is (who["targetingKey"] in chosen) for who, value in zip(people, values, strict=True))
        _check(rightly, "W4 is wrong for somebody")
    elif workload == "W5":
        _check(all(value == payload(value["variant"]) for value in values), "W5 has a wrong payload")
        for variant, weight in zip(VARIANTS, WEIGHTS, strict=True):
            share = sum(value["variant"] == variant for value in values) / len(values)
            _check(abs(share - weight / 100) < 0.05, f"W5 has a share {share} of {variant}")


def verify_all(values: dict[str, Any], who: Json) -> None:
    """Raise WrongAnswer unless these are the right values of all flags for one context."""
    lists = members()
    _check(len(values) == FLAGS, f"W6: {len(values)} answers")
    for i in range(FLAGS):
        kind = PATTERN[i % 10]
        key = f"{kind}-{i:04d}"
        value = values[key]
        if kind == "w1":
            _check(value is (key != OFF_FLAG), f"{key} is {value}")
        elif kind == "w2":
            _check(value == "v5", f"{key} is {value}")
        elif kind == "w4":
            _check(value is (who["targetingKey"] in lists[f"seg-{i // 10 % 4}"]), f"{key} is {value}")
        elif key == GATED_FLAG:
            _check(not value, f"{key} is {value} although its prerequisite is off")
        elif kind == "w5":
            _check(value == payload(value["variant"]), f"{key} is {value}")
    rollouts = [value for key, value in values.items() if key.startswith("w3")]
    _check(0 < sum(rollouts) < len(rollouts), "every rollout gives the same answer")
