"""What is measured over HTTP, and the proof that each answer is right before it is."""

import gzip
from dataclasses import dataclass

import orjson
from tests.bench.http import workload
from tests.bench.http.stage import Stage
from tests.bench.http.wire import Answer, ask_once

from greenroom.evaluation import evaluate_all, read_snapshot, verify_seal

_NOW_MS = 1_795_410_000_000  # no flag of the workload depends on the time


class WrongAnswer(Exception):
    """What would have been measured is not right."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to ask: a request for each connection, and the bytes that answer all of them.

    `goal` is the least ratio to the Starlette route that we want; None where there is none.
    """

    name: str
    method: str
    path: str
    requests: list[bytes]
    answer: Answer
    count: int
    goal: float | None = None


def make_cases(stage: Stage) -> list[Case]:
    """All cases; raises `WrongAnswer` unless the server answers each of them rightly."""
    identity, compressed, unchanged = _snapshot_cases(stage)
    bulk, bulk_unchanged = _bulk_cases(stage, identity.answer.body)
    return [_single_case(stage), bulk, bulk_unchanged, identity, compressed, unchanged]


def _single_case(stage: Stage) -> Case:
    path = workload.SINGLE_PATH
    requests = [workload.post(path, {"context": who}, stage.authorization) for who in workload.PEOPLE]
    answers = [ask_once(stage.port, request) for request in requests]
    for answer in answers:
        _require(answer.status == 200, f"{path} is answered {answer.status}")
        said = orjson.loads(answer.body)
        _require(said["value"] == workload.SINGLE_VALUE, f"{path} is {said}")
        _require(said["reason"] == "TARGETING_MATCH", f"{path} is {said}")
        _require(answer.content == answers[0].content, "not everybody gets the same answer")
    return Case("OFREP single, 5 rules", "POST", path, requests, answers[0], 3_000, goal=0.9)


def _snapshot_cases(stage: Stage) -> tuple[Case, Case, Case]:
    path, headers = workload.SNAPSHOT_PATH, stage.authorization
    request = workload.get(path, headers)
    identity = ask_once(stage.port, request)
    _require(identity.status == 200, f"{path} is answered {identity.status}")
    _require(verify_seal(identity.body), "the snapshot's seal is broken")
    _require(len(orjson.loads(identity.body)["flags"]) == workload.FLAGS, "the snapshot lacks flags")
    gzip_request = workload.get(path, headers | {"accept-encoding": "gzip"})
    compressed = ask_once(stage.port, gzip_request)
    _require(gzip.decompress(compressed.body) == identity.body, "the compressed snapshot is another one")
    unchanged_request = workload.get(path, headers | {"if-none-match": identity.header(b"etag").decode()})
    unchanged = ask_once(stage.port, unchanged_request)
    _require(unchanged.status == 304, f"a known snapshot is answered {unchanged.status}")
    everybody = workload.CONNECTIONS
    return (
        Case("snapshot 200, identity", "GET", path, [request] * everybody, identity, 2_000, goal=1.0),
        Case("snapshot 200, gzip", "GET", path, [gzip_request] * everybody, compressed, 3_000, goal=1.0),
        Case("snapshot 304", "GET", path, [unchanged_request] * everybody, unchanged, 3_000, goal=1.0),
    )


def _bulk_cases(stage: Stage, snapshot: bytes) -> tuple[Case, Case]:
    path, headers, who = workload.BULK_PATH, stage.authorization, workload.PEOPLE[0]
    request = workload.post(path, {"context": who}, headers)
    answer = ask_once(stage.port, request)
    _require(answer.status == 200, f"{path} is answered {answer.status}")
    said = {flag["key"]: flag["value"] for flag in orjson.loads(answer.body)["flags"]}
    right = {made.flag_key: made.value for made in evaluate_all(read_snapshot(orjson.loads(snapshot)), who, _NOW_MS)}
    _require(said == right, "the bulk answer is not what the engine says")
    _require(len(said) == workload.FLAGS, "the bulk answer lacks flags")
    known = workload.post(path, {"context": who}, headers | {"if-none-match": answer.header(b"etag").decode()})
    unchanged = ask_once(stage.port, known)
    _require(unchanged.status == 304, f"a known bulk answer is answered {unchanged.status}")
    everybody = workload.CONNECTIONS
    return (
        Case(f"OFREP bulk of {len(said)}, 200", "POST", path, [request] * everybody, answer, 1_500),
        Case(f"OFREP bulk of {len(said)}, 304", "POST", path, [known] * everybody, unchanged, 3_000),
    )


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise WrongAnswer(what)
