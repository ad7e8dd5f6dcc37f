"""What is asked over HTTP: 100 flags in the mix of the engine's workloads, people, and requests as bytes."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from tests.bench.engine.workload import contexts, snapshot_document

FLAGS: Final = 100
CONNECTIONS: Final = 64
PROJECT: Final = "bench"
ENVIRONMENT: Final = "production"
# Five rules of two conditions; everybody in `PEOPLE` matches the fifth only, so one answer is right for all of them.
SINGLE_FLAG: Final = "w2-0002"
SINGLE_VALUE: Final = "v5"
TOGGLED: Final = tuple(f"toggled-{n}" for n in range(8))
PEOPLE: Final = tuple(contexts(CONNECTIONS))

SINGLE_PATH: Final = f"/ofrep/v1/evaluate/flags/{SINGLE_FLAG}"
BULK_PATH: Final = "/ofrep/v1/evaluate/flags"
SNAPSHOT_PATH: Final = "/api/v1/sdk/snapshot"

_MEMBERS_OF_SEGMENT: Final = 50  # of 1,000, so that 100 flags are about 50 KB
_OF_CONFIGURATION: Final = ("enabled", "off_variant", "prerequisites", "rules", "fallthrough")
_OF_FLAG: Final = ("key", "type", "variants")

Json = Any


def project_document() -> Json:
    """The flags as `POST /api/v1/import` takes them."""
    snapshot = snapshot_document()
    segments = []
    for segment in snapshot["segments"].values():
        when = segment["when"] | {"values": segment["when"]["values"][:_MEMBERS_OF_SEGMENT]}
        segments.append({"key": segment["key"], "when": when})
    return {
        "format": "greenroom.project/1",
        "project": {"key": PROJECT, "name": "Benchmark"},
        "environments": [{"key": ENVIRONMENT, "name": "Production", "tier": "production", "production_like": True}],
        "segments": segments,
        "flags": [_authored(flag) for flag in list(snapshot["flags"].values())[:FLAGS]],
    }


def toggled_flags() -> list[Json]:
    """Plain flags to switch on and off; they come after the measured ones and are not among them."""
    return [{"key": key, "type": "boolean", "purpose": "operational"} for key in TOGGLED]


def post(path: str, body: Json, headers: Mapping[str, str]) -> bytes:
    """An HTTP request with a JSON body."""
    data = orjson.dumps(body)
    more = {"content-type": "application/json", "content-length": str(len(data))}
    return _head("POST", path, {**headers, **more}) + data


def get(path: str, headers: Mapping[str, str]) -> bytes:
    """An HTTP request without a body."""
    return _head("GET", path, headers)


def _head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _authored(flag: Json) -> Json:
    configuration = {name: flag[name] for name in _OF_CONFIGURATION}
    members = {name: flag[name] for name in _OF_FLAG}
    return {**members, "purpose": "operational", "configurations": {ENVIRONMENT: configuration}}
