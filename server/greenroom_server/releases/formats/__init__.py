"""The readers of what pipelines and tools write: bytes in, drafts out. No SQL, no HTTP, no clock.

`read` is the door. It knows a closed set of formats, by name or by media type, and refuses everything else by name.
Whoever calls it for large reports does so in a thread: the longest take a second.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from greenroom_server.releases.formats import cloudevents
from greenroom_server.releases.formats.cdevents import read_cdevents
from greenroom_server.releases.formats.drafts import About, Reading
from greenroom_server.releases.formats.dsse import PinnedKey, verify
from greenroom_server.releases.formats.findings import ANY_ERROR, Threshold
from greenroom_server.releases.formats.in_toto import PAYLOAD_TYPE, read_statement
from greenroom_server.releases.formats.junit import read_junit
from greenroom_server.releases.formats.limits import DEFAULT, Limits
from greenroom_server.releases.formats.refusals import UnknownFormat, Unreadable
from greenroom_server.releases.formats.sarif import read_sarif
from greenroom_server.releases.formats.values import digest_of_bytes, shown


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known beside the bytes, as far as the format needs it.

    `about` is needed by reports and test results; `keys` are those pinned for the producer, without which no envelope
    is read; `headers`, with names in small letters, are looked at for CloudEvents in binary mode only.
    """

    about: About | None = None
    keys: tuple[PinnedKey, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    threshold: Threshold = ANY_ERROR
    limits: Limits = DEFAULT


def read(name: str, files: Sequence[bytes], beside: Beside) -> Reading:
    """What the files say, in the format of that name or media type; raises an `Invalid` with a code of this package.

    Only JUnit reports come in several files.
    """
    kind = name.partition(";")[0].strip().lower()
    reader = FORMATS.get(kind) or FORMATS.get(NAME_OF.get(kind, ""))
    if reader is None:
        raise UnknownFormat(f"`{shown(name)}` is not read here; these are: {', '.join((*FORMATS, *NAME_OF))}")
    return reader(kind, files, beside)


def _junit(kind: str, files: Sequence[bytes], beside: Beside) -> Reading:
    return Reading((read_junit(files, _about_of(beside), limits=beside.limits),))


def _sarif(kind: str, files: Sequence[bytes], beside: Beside) -> Reading:
    about = _about_of(beside)
    return Reading((read_sarif(_only(files), about, threshold=beside.threshold, limits=beside.limits),))


def _dsse(kind: str, files: Sequence[bytes], beside: Beside) -> Reading:
    data = _only(files)
    verified = verify(data, beside.keys, payload_type=PAYLOAD_TYPE, limits=beside.limits)
    return Reading(
        read_statement(
            verified.payload,
            beside.about,
            verified_by=verified.verified_by,
            attachment_digest=digest_of_bytes(data),
            threshold=beside.threshold,
            limits=beside.limits,
        )
    )


def _in_toto(kind: str, files: Sequence[bytes], beside: Beside) -> Reading:
    data = _only(files)
    return Reading(read_statement(data, beside.about, threshold=beside.threshold, limits=beside.limits))


def _cdevents(kind: str, files: Sequence[bytes], beside: Beside) -> Reading:
    mode = kind if kind in NAME_OF else cloudevents.BINARY
    return read_cdevents(mode, _only(files), beside.headers, beside.about, limits=beside.limits)


def _about_of(beside: Beside) -> About:
    if beside.about is None:
        raise Unreadable("a report does not say its `kind`, `suite` and `run`; send them with it", field="kind")
    return beside.about


def _only(files: Sequence[bytes]) -> bytes:
    if len(files) != 1:
        raise Unreadable("this format comes in one piece")
    return files[0]


FORMATS: Final[dict[str, Callable[[str, Sequence[bytes], Beside], Reading]]] = {
    "junit": _junit,
    "sarif": _sarif,
    "dsse": _dsse,
    "in-toto": _in_toto,
    "cdevents": _cdevents,
}
NAME_OF: Final = {
    "application/xml": "junit",
    "text/xml": "junit",
    "application/sarif+json": "sarif",
    "application/vnd.dsse.envelope.v1+json": "dsse",
    "application/vnd.dsse+json": "dsse",
    PAYLOAD_TYPE: "in-toto",
    cloudevents.STRUCTURED: "cdevents",
    cloudevents.BATCH: "cdevents",
    cloudevents.BINARY: "cdevents",
}
