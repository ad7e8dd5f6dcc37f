"""XML from strangers, as a stream of elements: nothing of the document is kept, and its constructs are bounded.

This is expat with what defusedxml adds to it and more: a document type is refused, and without one there are no
entities to expand, nested or external; encodings are a closed set; depth, tags, names and elements are counted.
Text between tags is never made into Python objects.
"""

from collections.abc import Callable
from typing import Final
from xml.parsers import expat

from greenroom_server.releases.formats.limits import Limits
from greenroom_server.releases.formats.refusals import ForbiddenConstruct, Oversized, Unreadable
from greenroom_server.releases.formats.values import shown

OnStart = Callable[[str, dict[str, str]], None]
OnEnd = Callable[[str], None]

_STEP_BYTES: Final = 64 * 1024
_ENCODINGS: Final = frozenset(
    ("utf-8", "utf8", "utf-16", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "latin1", "windows-1252")
)


class XmlReader:
    """Walks files one after another; elements and names are counted over all of them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._elements = 0
        self._depth = 0
        self._names: set[str] = set()
        self._field = ""

    def walk(self, data: bytes, on_start: OnStart, on_end: OnEnd, *, field: str = "") -> None:
        """Calls back for each element with its local name. `field` is what a refusal points to."""
        self._field = field
        self._depth = 0
        parser = expat.ParserCreate(intern=None)  # type: ignore[call-arg, unused-ignore]  # else it keeps all names
        # Newer ones put off looking at a long tag, and would hide how long it is; ours are short enough to look again.
        put_off = getattr(parser, "SetReparseDeferralEnabled", None)
        if put_off is not None:
            put_off(False)
        parser.XmlDeclHandler = self._check_declaration
        parser.StartDoctypeDeclHandler = self._refuse_document_type
        parser.StartElementHandler = self._counted(on_start)
        parser.EndElementHandler = self._closing(on_end)
        try:
            self._feed(parser, data)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            where = f"line {error.lineno} column {error.offset + 1}"
            raise Unreadable(f"this is not well-formed XML: {reason} at {where}", field=field) from None

    def _feed(self, parser: expat.XMLParserType, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(data), _STEP_BYTES):
            piece = view[start : start + _STEP_BYTES]
            parser.Parse(piece, False)
            # What expat has not passed yet is one tag (or comment) that it must see whole.
            if start + len(piece) - parser.CurrentByteIndex > self._limits.xml_tag_bytes + _STEP_BYTES:
                raise self._oversized("xml_tag_bytes", self._limits.xml_tag_bytes)
        parser.Parse(b"", True)

    def _counted(self, on_start: OnStart) -> OnStart:
        limits, names = self._limits, self._names

        def start(tag: str, attributes: dict[str, str]) -> None:
            self._elements += 1
            self._depth += 1
            names.add(tag)
            names.update(attributes)
            if self._elements > limits.xml_elements:
                raise self._oversized("xml_elements", limits.xml_elements)
            if self._depth > limits.xml_depth:
                raise self._oversized("xml_depth", limits.xml_depth)
            if len(names) > limits.xml_names:
                raise self._oversized("xml_names", limits.xml_names)
            on_start(tag.rpartition(":")[2], attributes)

        return start

    def _closing(self, on_end: OnEnd) -> OnEnd:
        def end(tag: str) -> None:
            self._depth -= 1
            on_end(tag.rpartition(":")[2])

        return end

    def _check_declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise Unreadable(f"the encoding `{shown(encoding)}` is not read here; write UTF-8", field=self._field)

    def _refuse_document_type(self, *declared: object) -> None:
        raise ForbiddenConstruct(
            "a document type (`<!DOCTYPE`) is not read here, and no entities with it", field=self._field
        )

    def _oversized(self, limit: str, maximum: int) -> Oversized:
        return Oversized(limit, maximum, field=self._field)
