"""Reports of tools as files: found by pattern, recognised by their content, several JUnit files joined into one."""

import glob
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree

from greenroom.cli.errors import UsageError
from greenroom.cli.files import read_bytes

FORMATS: Final = {
    "junit": "application/xml",
    "sarif": "application/sarif+json",
    "dsse": "application/vnd.dsse.envelope.v1+json",
    "in-toto": "application/vnd.in-toto+json",
    "cdevents": "application/cloudevents+json",
    "json": "application/json",
}
_EVENTS: Final = "application/cloudevents-batch+json"
_SUITES: Final = frozenset({"testsuites", "testsuite", "testcase"})


# What may stand in a header as it is; CloudEvents has everything else as percent and hexadecimal digits.
_PLAIN: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


@dataclass(frozen=True, slots=True)
class Report:
    """What is sent."""

    format: str
    content: bytes


def read_report(patterns: Sequence[str], wanted: str | None) -> Report:
    """The report in the files; raises UsageError if there is none, or if there are several that are not one."""
    files = [file for pattern in patterns for file in _files(pattern)]
    contents = [(str(file), read_bytes(file)) for file in dict.fromkeys(files)]
    found = wanted or _format_of(*contents[0])
    if found == "junit" and len(contents) > 1:
        return Report(found, join_junit(contents))
    if len(contents) > 1:
        raise UsageError(f"{len(contents)} files of {found} are not one piece of evidence", hint="add them one by one")
    return Report(found, contents[0][1])


def event_headers(content: bytes) -> dict[str, str]:
    """The headers with which events are sent: CloudEvents, a batch of them, or a CDEvent without such an envelope.

    That is sent in binary mode, which has the envelope in headers; the server says what is missing in it.
    """
    try:
        document: Any = json.loads(content)
    except ValueError:
        document = None
    if isinstance(document, list):
        return {"Content-Type": _EVENTS}
    if not _is_bare(document):
        return {"Content-Type": FORMATS["cdevents"]}
    told = {name: value for name in ("id", "source", "type") if isinstance(value := document["context"].get(name), str)}
    attributes = {f"ce-{name}": quote(value, safe=_PLAIN) for name, value in told.items()}
    return {"Content-Type": "application/json", "ce-specversion": "1.0", **attributes}


def _is_bare(document: Any) -> bool:
    """Whether it is a CDEvent as such, which has `context` and `subject`."""
    return isinstance(document, dict) and isinstance(document.get("context"), dict) and "subject" in document


def join_junit(contents: Sequence[tuple[str, bytes]]) -> bytes:
    """One document of all, each file in a suite of its own name, so that cases of the same name stay apart."""
    root = ElementTree.Element("testsuites")
    for name, content in contents:
        try:
            # The user's own files, in the user's own process; the server reads what is sent with bounds.
            found = ElementTree.fromstring(content)  # noqa: S314
        except ElementTree.ParseError as error:
            raise UsageError(f"{name} is no XML: {error}") from None
        if found.tag not in _SUITES:
            raise UsageError(f"{name} is no JUnit report: it begins with `<{found.tag}>`")
        ElementTree.SubElement(root, "testsuite", name=name).append(found)
    joined: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return joined


def _files(pattern: str) -> list[Path]:
    if pattern == "-" or Path(pattern).exists():
        return [Path(pattern)]
    found = sorted(Path(one) for one in glob.glob(pattern, recursive=True))
    if not found:
        # No report is no green one.
        raise UsageError(f"there is no file `{pattern}`")
    return found


def _format_of(name: str, content: bytes) -> str:
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return "junit"
    try:
        document: Any = json.loads(content)
    except ValueError:
        raise UsageError(f"{name} is neither XML nor JSON", hint="`--format` says how it is written") from None
    first = document[0] if isinstance(document, list) and document else document
    members = first.keys() if isinstance(first, dict) else frozenset()
    if "payloadType" in members:
        return "dsse"
    if "predicateType" in members:
        return "in-toto"
    if "specversion" in members or _is_bare(first):
        return "cdevents"
    if "runs" in members:
        return "sarif"
    return "json"
