"""Whatever is changed in a good document, it is read or refused; what was read can be stored and shown."""

import dataclasses
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.releases.formats.rig import ABOUT, COMMIT, DIGEST, refusing, statement

from greenroom_server.errors import Invalid
from greenroom_server.releases.formats import Beside, read
from greenroom_server.releases.formats.findings import Threshold
from greenroom_server.releases.formats.in_toto import PROVENANCE_0_2, PROVENANCE_1, TEST_RESULT, VULNERABILITIES_0_2
from greenroom_server.releases.formats.limits import MIB

BESIDE: Final = Beside(about=dataclasses.replace(ABOUT, subject=None), threshold=Threshold("warning", "medium"))
SOURCE: Final = {"uri": "git+https://git.example/shop@refs/heads/main", "digest": {"gitCommit": COMMIT}}
PREDICATES: Final[dict[str, Any]] = {
    TEST_RESULT: {"result": "PASSED", "configuration": [SOURCE], "passedTests": ["a"], "url": "https://ci.example"},
    PROVENANCE_1: {
        "buildDefinition": {"buildType": "b", "externalParameters": {"a": 1}, "resolvedDependencies": [SOURCE]},
        "runDetails": {"builder": {"id": "c"}, "metadata": {"invocationId": "1", "startedOn": "2026-01-01T00:00:00Z"}},
    },
    PROVENANCE_0_2: {
        "builder": {"id": "c"},
        "buildType": "b",
        "invocation": {"configSource": SOURCE},
        "materials": [SOURCE],
    },
    VULNERABILITIES_0_2: {
        "scanner": {"uri": "s", "result": [{"id": "CVE-1", "severity": [{"method": "nvd", "score": "5.2"}]}]},
        "metadata": {"scanStartedOn": "2026-01-01T00:00:00Z"},
    },
}
SARIF: Final[dict[str, Any]] = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {"driver": {"name": "s", "rules": [{"id": "r", "properties": {"security-severity": "9.1"}}]}},
            "results": [{"ruleId": "r", "ruleIndex": 0, "level": "error", "suppressions": [{"status": "accepted"}]}],
            "invocations": [{"executionSuccessful": True, "startTimeUtc": "2026-01-01T00:00:00Z"}],
        }
    ],
}
EVENTS: Final = [
    json.loads(file.read_bytes()) for file in sorted((Path(__file__).parent / "cdevents/v0.5.1").iterdir())
]
TOLD: Final = {
    "greenroom": {"kind": "test.unit", "digest": DIGEST, "counts": {"total": 1, "passed": 1}, "slot": "blue"}
}

TEXTS: Final = st.text(st.sampled_from('\x00\ud800\u2028 "\\/:aé9.'), max_size=8) | st.sampled_from(
    ["0.5.1", "pkg:oci/a@1", "9" * 20]
)
SCALARS: Final = st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats() | TEXTS
VALUES: Final = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2), max_leaves=4
)


def cloud_event(event: dict[str, Any]) -> dict[str, Any]:
    attributes = {name: event["context"][name] for name in ("id", "source", "type")}
    return attributes | {"specversion": "1.0", "data": event | {"customData": TOLD}}


DOCUMENTS: Final = [
    ("sarif", SARIF),
    *(("in-toto", json.loads(statement(kind, made))) for kind, made in PREDICATES.items()),
    *(("application/cloudevents+json", cloud_event(event)) for event in EVENTS),
]


@given(st.sampled_from(DOCUMENTS), st.data())
def test_changed_documents(document: tuple[str, Any], data: st.DataObject) -> None:
    """One or two members are replaced by anything, or are gone."""
    kind, made = document
    changed = json.loads(json.dumps(made))
    for _ in range(data.draw(st.integers(1, 2))):
        places = list(_places_in(changed))
        if places:
            container, key = data.draw(st.sampled_from(places))
            if data.draw(st.booleans()):
                container[key] = data.draw(VALUES)
            else:
                del container[key]

    check(kind, json.dumps(changed).encode())


@given(st.sampled_from(DOCUMENTS), st.data())
def test_cut_documents(document: tuple[str, Any], data: st.DataObject) -> None:
    """Bytes are missing or are others."""
    kind, made = document
    text = json.dumps(made).encode()
    start = data.draw(st.integers(0, len(text)))
    check(kind, text[:start] + data.draw(st.binary(max_size=3)) + text[start + data.draw(st.integers(0, 40)) :])


WRONG: Final = b",".join([b"0"] * 290_000)
WRONG_MEMBERS: Final = b",".join(b'"%d":0' % number for number in range(140_000))


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("in-toto", statement(TEST_RESULT, {}, subject=["@"])),
        ("in-toto", statement(TEST_RESULT, {"result": "PASSED", "configuration": [], "passedTests": ["@"]})),
        ("in-toto", statement(TEST_RESULT, {"result": "PASSED", "configuration": [{"digest": {"@": "@"}}]})),
        (
            "in-toto",
            statement(VULNERABILITIES_0_2, {"scanner": {"uri": "s", "result": [{"id": "a", "severity": ["@"]}]}}),
        ),
        ("sarif", json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"rules": ["@"]}}}]}).encode()),
        ("sarif", json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {}}, "results": ["@"]}]}).encode()),
    ],
)
def test_very_many_errors(kind: str, document: bytes) -> None:
    """A small document in which everything is wrong is not answered with a large one, nor made into one."""
    wrong = document.replace(b'"@": "@"', WRONG_MEMBERS).replace(b'"@"', WRONG)
    tracemalloc.start()
    try:
        with refusing("evidence_malformed"):
            read(kind, [wrong], BESIDE)
        assert tracemalloc.get_traced_memory()[1] < 40 * MIB
    finally:
        tracemalloc.stop()


def check(kind: str, document: bytes) -> None:
    try:
        reading = read(kind, [document], BESIDE)
    except Invalid as refusal:
        code = refusal.code
    else:
        code = "evidence_"
        for draft in reading.facts:
            text = orjson.dumps(draft).decode()  # which refuses half characters
            assert "\\u0000" not in text
    assert code.startswith("evidence_")


def _places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every member of every object and array."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places_in(inner)
