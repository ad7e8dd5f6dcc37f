"""JUnit XML in all its dialects, counted case by case; what the file says about its own totals is not looked at.

A case is known by its suites, `classname` and `name`. Named again in the same file by the same host it was rerun: the
last attempt counts, and the case is flaky if it passed once and went wrong once. Another file or host is not a rerun,
so what failed there stays failed. docs/evidence.md has the rules in words.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from greenroom_server.releases.formats.bounded_xml import XmlReader
from greenroom_server.releases.formats.drafts import About, Counts, EvidenceDraft
from greenroom_server.releases.formats.limits import DEFAULT, MAX_LISTED, Limits
from greenroom_server.releases.formats.refusals import Oversized, Unreadable
from greenroom_server.releases.formats.values import digest_of_bytes, digest_of_parts, moment_or_none, shown

PASSED: Final = 0
SKIPPED: Final = 1
FAILED: Final = 2
ERROR: Final = 3
_STATUS: Final = 3
_HAS_PASSED: Final = 4
_HAS_GONE_WRONG: Final = 8
_HAS_FLAKY_CHILD: Final = 16

_ROOTS: Final = frozenset(("testsuites", "testsuite", "testcase"))
_CHILDREN: Final = {
    "error": ERROR,
    "failure": FAILED,
    "rerunFailure": FAILED,
    "rerunError": ERROR,
    "skipped": SKIPPED,
    "disabled": SKIPPED,
}
_FLAKY_CHILDREN: Final = frozenset(("flakyFailure", "flakyError"))
# Some write these instead of a child: GoogleTest and CTest for what was not run, node:test a `failure`.
_WORDS: Final = {
    **dict.fromkeys(("disabled", "ignored", "inconclusive", "notrun", "pending", "skipped", "suppressed"), SKIPPED),
    **dict.fromkeys(("fail", "failed", "failure"), FAILED),
    **dict.fromkeys(("aborted", "broken", "error", "errored", "timeout"), ERROR),
}
_SECONDS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,12})?")
_MAX_NOTED: Final = 10 * MAX_LISTED
_KEY_BYTES: Final = 16


def read_junit(files: Sequence[bytes], about: About, *, limits: Limits = DEFAULT) -> EvidenceDraft:
    """One draft for all files of a run; raises `Unreadable` or `Oversized`. No case at all is a fact, not an error."""
    _check_sizes(files, limits)
    tally = _Tally(limits)
    reader = XmlReader(limits)
    for ordinal, data in enumerate(files):
        field = f"/{ordinal}" if len(files) > 1 else ""
        walk = _Walk(tally, ordinal, field)
        reader.walk(data, walk.start, walk.end, field=field)
    return _draft(tally, about, [digest_of_bytes(data) for data in files])


def _check_sizes(files: Sequence[bytes], limits: Limits) -> None:
    if not files:
        raise Unreadable("no report was sent")
    if len(files) > limits.files:
        raise Oversized("files", limits.files)
    if sum(map(len, files)) > limits.total_bytes:
        raise Oversized("total_bytes", limits.total_bytes)
    # The reader would find out too, but after a second of work.
    if sum(data.count(b"<testcase") for data in files) > limits.xml_elements:
        raise Oversized("xml_elements", limits.xml_elements)


def _draft(tally: "_Tally", about: About, digests: Sequence[str]) -> EvidenceDraft:
    counts = tally.counts()
    return replace(
        about.evidence(counts.outcome(), digest_of_parts(digests)),
        counts=counts,
        suite_definition_digest=tally.definition(),
        started_at=about.started_at or tally.started_at,
        detail=tally.detail() | {"files": len(digests)},
    )


class _Tally:
    """The cases of all files. A case takes some hundred bytes, whatever its name."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._groups: dict[tuple[int, str], dict[bytes, int]] = {}
        self._nameless = [0, 0, 0, 0]
        self._noted: dict[tuple[int, bytes], str] = {}
        self.milliseconds = 0
        self.started_at: datetime | None = None

    def group(self, ordinal: int, host: str) -> dict[bytes, int]:
        """The cases of one host in one file."""
        group = self._groups.setdefault((ordinal, host), {})
        if len(self._groups) > self._limits.report_groups:
            raise Oversized("report_groups", self._limits.report_groups)
        return group

    def add_nameless(self, status: int) -> None:
        self._nameless[status] += 1

    def add(self, group: dict[bytes, int], key: bytes, case: "_Case") -> None:
        """One more attempt. Being skipped is none, if there is another."""
        before = group.get(key)
        if before is not None and case.status == SKIPPED:
            return
        seen = (before or 0) & ~_STATUS | case.status
        if case.status != SKIPPED:
            seen |= _HAS_GONE_WRONG if case.status >= FAILED else _HAS_PASSED
        if case.is_flaky:
            seen |= _HAS_FLAKY_CHILD
        group[key] = seen
        if (case.status >= FAILED or case.is_flaky) and len(self._noted) < _MAX_NOTED:
            self._noted[id(group), key] = case.title()

    def counts(self) -> Counts:
        numbers = list(self._nameless)
        flaky = 0
        for group in self._groups.values():
            for seen in group.values():
                numbers[seen & _STATUS] += 1
                flaky += _is_flaky(seen)
        return Counts(
            total=sum(numbers),
            passed=numbers[PASSED],
            failed=numbers[FAILED],
            errors=numbers[ERROR],
            skipped=numbers[SKIPPED],
            flaky=flaky,
        )

    def definition(self) -> str | None:
        """A digest of which cases there are, in whatever order and number of files; None without any."""
        groups = list(self._groups.values())
        keys = sorted(groups[0] if len(groups) == 1 else set().union(*groups))
        return digest_of_bytes(b"".join(keys)) if keys else None

    def detail(self) -> dict[str, Any]:
        lists: dict[str, list[str]] = {"failed": [], "errors": [], "flaky": []}
        for group in self._groups.values():
            for key, seen in group.items():
                title = self._noted.get((id(group), key))
                if title is None:
                    continue
                if _is_flaky(seen):
                    lists["flaky"].append(title)
                if seen & _STATUS >= FAILED:
                    lists["failed" if seen & _STATUS == FAILED else "errors"].append(title)
        kept = {name: titles[:MAX_LISTED] for name, titles in lists.items() if titles}
        return {"duration_ms": self.milliseconds} | kept


def _is_flaky(seen: int) -> bool:
    went_wrong_and_passed = seen & (_HAS_PASSED | _HAS_GONE_WRONG) == _HAS_PASSED | _HAS_GONE_WRONG
    return went_wrong_and_passed or bool(seen & _HAS_FLAKY_CHILD and seen & _STATUS == PASSED)


@dataclass(slots=True)
class _Suite:
    key: bytes
    name: str
    host: str


@dataclass(slots=True)
class _Case:
    classname: str
    name: str
    status: int
    is_flaky: bool = False
    is_todo: bool = False

    def title(self) -> str:
        return shown(f"{self.classname}.{self.name}" if self.classname else self.name)


class _Walk:
    """One file: which suites and which case the next element belongs to."""

    def __init__(self, tally: _Tally, ordinal: int, field: str) -> None:
        self._tally = tally
        self._ordinal = ordinal
        self._field = field
        self._open: list[_Suite | _Case | None] = []
        self._suites = [_Suite(b"", "", "")]
        self._is_foreign = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open:
            self._is_foreign = tag not in _ROOTS
        if tag == "testcase":
            self._open.append(self._enter_case(attributes))
        elif tag == "testsuite" or (tag == "testsuites" and not self._open):
            self._open.append(self._enter_suite(tag, attributes))
        else:
            self._note_child(tag, attributes)
            self._open.append(None)

    def end(self, tag: str) -> None:
        closed = self._open.pop()
        if isinstance(closed, _Case):
            self._add(closed)
        elif isinstance(closed, _Suite):
            self._suites.pop()
        if not self._open and self._is_foreign:
            raise Unreadable(f"this is no JUnit report: its root is `{shown(tag)}`", field=self._field)

    def _enter_case(self, attributes: dict[str, str]) -> _Case:
        self._is_foreign = False
        self._tally.milliseconds += _milliseconds_in(attributes.get("time", ""))
        words = (attributes.get("status", ""), attributes.get("result", ""))
        status = max(_WORDS.get(word.lower(), PASSED) for word in words)
        if "failure" in attributes:
            status = max(status, FAILED)
        return _Case(attributes.get("classname", ""), attributes.get("name", ""), status)

    def _enter_suite(self, tag: str, attributes: dict[str, str]) -> _Suite:
        outer = self._suites[-1]
        name = attributes.get("name", "")
        key = _key(outer.key, name) if tag == "testsuite" else outer.key
        suite = _Suite(key, name, attributes.get("hostname", outer.host))
        self._suites.append(suite)
        began = moment_or_none(attributes.get("timestamp", ""))
        if began is not None and (self._tally.started_at is None or began < self._tally.started_at):
            self._tally.started_at = began
        return suite

    def _note_child(self, tag: str, attributes: dict[str, str]) -> None:
        parent = self._open[-1] if self._open else None
        if isinstance(parent, _Case):
            parent.status = max(parent.status, _CHILDREN.get(tag, PASSED))
            parent.is_flaky = parent.is_flaky or tag in _FLAKY_CHILDREN
            parent.is_todo = parent.is_todo or (tag == "skipped" and attributes.get("type") == "todo")
        elif parent is not None and tag in ("error", "failure"):
            # A suite that could not be loaded has no cases to blame.
            self._tally.add(self._tally.group(self._ordinal, parent.host), parent.key, _Case("", parent.name, ERROR))

    def _add(self, case: _Case) -> None:
        suite = self._suites[-1]
        if case.is_todo:  # node:test runs these, and does not mind that they fail
            case.status = SKIPPED
        if case.name:
            group = self._tally.group(self._ordinal, suite.host)
            self._tally.add(group, _key(suite.key, case.classname, case.name), case)
        else:
            self._tally.add_nameless(case.status)


def _key(outer: bytes, *names: str) -> bytes:
    # XML has no NUL, so the names cannot run into each other.
    return hashlib.blake2b(outer + "\0".join(("", *names)).encode(), digest_size=_KEY_BYTES).digest()


def _milliseconds_in(seconds: str) -> int:
    """Some write `1,234.5`; what is no number of seconds counts as none."""
    number = _SECONDS.fullmatch(seconds.replace(",", "")) if len(seconds) <= 24 else None
    return round(float(number[0]) * 1000) if number else 0
