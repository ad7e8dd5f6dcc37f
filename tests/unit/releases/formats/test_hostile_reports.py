"""Reports made to hurt are refused or read within bounds. What counts is memory and work, not the clock."""

import contextlib
import gzip
import sys
import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest
from tests.unit.releases.formats.rig import ABOUT, refusing

from greenroom_server.errors import Invalid
from greenroom_server.releases.formats.bounded_xml import XmlReader
from greenroom_server.releases.formats.junit import read_junit
from greenroom_server.releases.formats.limits import DEFAULT, MIB, Limits
from greenroom_server.releases.formats.refusals import Oversized

MOST_MEMORY: Final = 64 * MIB
FULL: Final = DEFAULT.total_bytes - 100


def entities(depth: int) -> str:
    return "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, depth))


def filled(before: bytes, piece: bytes, after: bytes) -> bytes:
    """As many pieces as a report may be long."""
    return before + piece * ((FULL - len(before) - len(after)) // len(piece)) + after


def numbered(before: bytes, piece: bytes, after: bytes, count: int) -> bytes:
    return before + b"".join(piece % number for number in range(count)) + after


FORBIDDEN: Final = {
    "billion laughs": f'<!DOCTYPE x [<!ENTITY e0 "ha">{entities(10)}]><testsuite name="&e9;"/>'.encode(),
    "quadratic blowup": b'<!DOCTYPE x [<!ENTITY a "'
    + b"a" * 50_000
    + b'">]><testsuite>'
    + b"&a;" * 50_000
    + b"</testsuite>",
    "external entity": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite>&a;</testsuite>',
    "external entity over http": b'<!DOCTYPE x [<!ENTITY a SYSTEM "http://127.0.0.1:9/">]><testsuite>&a;</testsuite>',
    "parameter entity": b'<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:9/a.dtd"> %a;]><testsuite/>',
    "external document type": b'<!DOCTYPE testsuite SYSTEM "http://127.0.0.1:9/junit.dtd"><testsuite/>',
    "public document type": b'<!DOCTYPE x PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://127.0.0.1:9/x.dtd"><testsuite/>',
    "empty document type": b"<!DOCTYPE testsuite><testsuite/>",
    "default attribute": b'<!DOCTYPE x [<!ATTLIST testcase name CDATA "n">]><testsuite><testcase/></testsuite>',
    "unparsed entity": b'<!DOCTYPE x [<!NOTATION n SYSTEM "n"><!ENTITY a SYSTEM "a" NDATA n>]><testsuite/>',
    "entities in utf-16": '<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>'.encode("utf-16"),
}
MALFORMED: Final = {
    "nothing": b"",
    "white space": b" \n ",
    "not xml": b"all tests passed",
    "json": b'{"tests": 1}',
    "truncated": b'<testsuite><testcase name="a">',
    "truncated in a tag": b'<testsuite><testcase name="a',
    "two roots": b"<testsuite/><testsuite/>",
    "crossing tags": b"<testsuite><testcase></testsuite></testcase>",
    "nul": b'<testsuite name="a\0b"/>',
    "nul reference": b'<testsuite name="a&#0;b"/>',
    "control character": b'<testsuite name="a\x08b"/>',
    "undefined entity": b"<testsuite>&nbsp;</testsuite>",
    "attribute twice": b'<testsuite name="a" name="b"/>',
    "tag in an attribute": b'<testsuite name="<a>"/>',
    "not utf-8": b'<testsuite name="\xff\xfe"/>',
    "overlong utf-8": b'<testsuite name="\xc0\xaf"/>',
    "surrogate in utf-8": b'<testsuite name="\xed\xa0\x80"/>',
    "utf-7 declared": b'<?xml version="1.0" encoding="UTF-7"?>+ADw-testsuite/+AD4-',
    "codec that is no encoding": b'<?xml version="1.0" encoding="rot13"?><testsuite/>',
    "unknown encoding": b'<?xml version="1.0" encoding="x-none"?><testsuite/>',
    "escapes as an encoding": b'<?xml version="1.0" encoding="unicode_escape"?><testsuite/>',
    "utf-16 declared, not written": b'<?xml version="1.0" encoding="utf-16"?><testsuite/>',
    "utf-32": "<testsuite/>".encode("utf-32"),
    "gzip": gzip.compress(b"<testsuite/>"),
    "only opening": b"<" * FULL,
    "declaration after text": b' <?xml version="1.0"?><testsuite/>',
}
# The long ones are made when they are needed.
TOO_LARGE: Final[dict[str, tuple[Callable[[], bytes], str]]] = {
    "too long": (lambda: b"<testsuite>" + b" " * DEFAULT.total_bytes, "total_bytes"),
    "a million cases": (lambda: filled(b"<testsuite>", b"<testcase/>", b"</testsuite>"), "xml_elements"),
    "a million properties": (lambda: filled(b"<testsuite>", b"<property/>", b"</testsuite>"), "xml_elements"),
    "deep": (lambda: filled(b"", b"<testsuite>", b""), "xml_depth"),
    "deep foreign tags": (lambda: filled(b"", b"<a>", b""), "xml_depth"),
    "long attribute": (lambda: filled(b'<testsuite name="', b"x", b'"/>'), "xml_tag_bytes"),
    "long attribute without an end": (lambda: filled(b'<testsuite name="', b"x", b""), "xml_tag_bytes"),
    "long tag": (lambda: filled(b"<", b"x", b"/>"), "xml_tag_bytes"),
    "long comment": (lambda: filled(b"<testsuite><!--", b"x", b"--></testsuite>"), "xml_tag_bytes"),
    "long instruction": (lambda: filled(b"<testsuite><?a ", b"x", b"?></testsuite>"), "xml_tag_bytes"),
    "many attributes": (lambda: numbered(b"<testsuite", b' a%d=""', b"/>", 40_000), "xml_names"),
    "very many attributes": (lambda: numbered(b"<testsuite", b' a%d=""', b"/>", 1_300_000), "xml_tag_bytes"),
    "many names": (lambda: numbered(b"<testsuite>", b"<a%d/>", b"</testsuite>", 200_000), "xml_names"),
    "many hosts": (
        lambda: numbered(
            b"<testsuites>", b'<testsuite hostname="%d"><testcase name="a"/></testsuite>', b"</testsuites>", 80_000
        ),
        "report_groups",
    ),
}
READ: Final[dict[str, Callable[[], bytes]]] = {
    "byte order mark": lambda: b"\xef\xbb\xbf<testsuite/>",
    "utf-16": lambda: '<?xml version="1.0" encoding="UTF-16"?><testsuite name="ü"/>'.encode("utf-16"),
    "latin-1": lambda: '<?xml version="1.0" encoding="ISO-8859-1"?><testsuite name="ü"/>'.encode("latin-1"),
    "stylesheet": lambda: b'<?xml-stylesheet href="http://127.0.0.1:9/a.xsl"?><testsuite/>',
    "xinclude": lambda: (
        b'<testsuite xmlns:xi="http://www.w3.org/2001/XInclude">'
        b'<xi:include href="file:///etc/passwd" parse="text"/></testsuite>'
    ),
    "schema location": lambda: (
        b'<testsuite xmlns:x="http://www.w3.org/2001/XMLSchema-instance" '
        b'x:schemaLocation="a http://127.0.0.1:9/a.xsd"/>'
    ),
    "undeclared prefix": lambda: b"<a:testsuite><b:testcase/></a:testsuite>",
    "long text": lambda: filled(b"<testsuite><system-out>", b"x", b"</system-out></testsuite>"),
    "long character data": lambda: filled(b"<testsuite><![CDATA[", b"<", b"]]></testsuite>"),
    "many references": lambda: filled(b"<testsuite>", b"&lt;", b"</testsuite>"),
    "many cases": lambda: numbered(b"<testsuite>", b'<testcase name="%d"/>', b"</testsuite>", DEFAULT.xml_elements - 1),
    "many red cases": lambda: numbered(
        b"<testsuite>", b'<testcase name="%d"><failure/></testcase>', b"</testsuite>", 120_000
    ),
    "long names": lambda: numbered(
        b"<testsuite>", b'<testcase name="%d' + b"x" * 400_000 + b'"/>', b"</testsuite>", 40
    ),
    "long suite names": lambda: (
        b"".join(b'<testsuite name="' + b"x" * 260_000 + b'">' for _ in range(60)) + b"</testsuite>" * 60
    ),
}


@pytest.mark.parametrize("report", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_document_types_are_refused(report: bytes) -> None:
    """Without a document type there is nothing to expand and nothing to fetch."""
    with refusing("evidence_forbidden_construct"):
        read_junit([report], ABOUT)


@pytest.mark.parametrize("report", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_well_formed_is_refused(report: bytes) -> None:
    """Half a report, another format or another encoding is an error of the sender, never an empty report."""
    with refusing("evidence_malformed"):
        read_junit([report], ABOUT)


@pytest.mark.parametrize(("report", "limit"), TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_what_is_past_a_limit_is_refused(report: Callable[[], bytes], limit: str) -> None:
    """The refusal names the limit, and reading as far as it takes little memory."""
    assert peak_of(report(), limit) < MOST_MEMORY // 2


@pytest.mark.parametrize("report", READ.values(), ids=READ.keys())
def test_what_is_odd_but_harmless_is_read_within_bounds(report: Callable[[], bytes]) -> None:
    """Nothing outside of the report is looked at, and little of it is kept."""
    assert peak_of(report(), None) < MOST_MEMORY


@pytest.mark.parametrize("name", ["a million properties", "deep", "many names", "many hosts"])
def test_the_reader_stops_at_a_limit(name: str) -> None:
    """Past it no more of the report is looked at, however long it is."""
    report, _ = TOO_LARGE[name]
    started = []

    with pytest.raises(Oversized):
        XmlReader(Limits(xml_elements=500)).walk(report(), lambda tag, _: started.append(tag), lambda _: None)

    assert len(started) <= 500


WATCHED: Final = ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.exec", "import")
watch: list[str] | None = None


def _hear(event: str, _: object) -> None:
    if watch is not None and event in WATCHED:
        watch.append(event)


def test_nothing_outside_of_a_report_is_touched() -> None:
    """No file is opened, no name resolved and nothing connected to, whatever a report refers to."""
    global watch  # audit hooks stay as long as the process
    read_junit([b"<testsuite/>"], ABOUT)  # what is imported on first use is imported
    sys.addaudithook(_hear)
    reports = [*FORBIDDEN.values(), *(READ[name]() for name in ("stylesheet", "xinclude", "schema location"))]

    watch = []
    for report in reports:
        with contextlib.suppress(Invalid):
            read_junit([report], ABOUT)
    heard, watch = watch, None

    assert heard == []


def test_attributes_in_many_tags_do_not_pile_up() -> None:
    """Names that are different in each tag are counted over the whole report."""
    tags = (
        b"<testcase" + b"".join(b' a%d=""' % number for number in range(start, start + 50)) + b"/>"
        for start in range(0, 500_000, 50)
    )
    assert peak_of(b"<testsuite>" + b"".join(tags), "xml_names") < MIB


def peak_of(report: bytes, limit: str | None) -> int:
    tracemalloc.start()
    try:
        if limit is None:
            assert read_junit([report], ABOUT).counts is not None
        else:
            with refusing("evidence_too_large", limit=limit):
                read_junit([report], ABOUT)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_every_prefix_of_a_report_is_refused() -> None:
    """A report that was cut off anywhere is never taken for a shorter one."""
    report = b'<testsuites><testsuite><testcase name="a"><failure>text</failure></testcase></testsuite></testsuites>'
    for length in range(len(report)):
        with pytest.raises(Invalid):
            read_junit([report[:length]], ABOUT)
