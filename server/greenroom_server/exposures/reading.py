"""From a request's bytes to a batch: unpacked within limits, read strictly, every member checked."""

import asyncio
import zlib
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from greenroom_server.errors import Invalid, PayloadTooLarge
from greenroom_server.exposures.wire import MAX_ROWS, CountIn, ExposureIn, OutcomeIn, ReportIn
from greenroom_server.web.codec import read_records
from greenroom_server.web.validation import parse

MAX_WIRE_BYTES: Final = 2 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 8 * 1024 * 1024
MAX_RATIO: Final = 20
RATIO_COUNTS_FROM: Final = 1024 * 1024
MAX_NODES: Final = 8 * 3 * MAX_ROWS

# Larger ones are unpacked and parsed in a thread, so that evaluation does not wait for them.
_LARGE_BYTES: Final = 256 * 1024
_STEP_BYTES: Final = 256 * 1024
_GZIP: Final = 31
_ROWS_A_STEP: Final = 250
_ROWS: Final[dict[str, TypeAdapter[Any]]] = {
    "counts": TypeAdapter(list[CountIn]),
    "exposures": TypeAdapter(list[ExposureIn]),
    "events": TypeAdapter(list[OutcomeIn]),
}


async def read_report(body: bytes, *, is_packed: bool) -> tuple[ReportIn, int]:
    """The batch, and its size unpacked; raises `Invalid` or `LimitExceeded`."""
    if not body:
        raise Invalid("the request needs a JSON body")
    if len(body) * (4 if is_packed else 1) > _LARGE_BYTES:
        value, size = await asyncio.to_thread(_read, body, is_packed)
    else:
        value, size = _read(body, is_packed)
    return await _checked(value), size


async def _checked(value: Any) -> ReportIn:
    """What `parse` makes of a batch, in steps: checking all rows at once would hold evaluation up."""
    if type(value) is not dict:
        return parse(ReportIn, value)
    lists = {name: rows for name in _ROWS if type(rows := value.get(name)) is list and len(rows) <= MAX_ROWS}
    try:
        report = ReportIn.model_validate(value | {name: [] for name in lists})
        for name, rows in lists.items():
            checked: list[Any] = []
            for start in range(0, len(rows), _ROWS_A_STEP):
                checked += _ROWS[name].validate_python(rows[start : start + _ROWS_A_STEP])
                await asyncio.sleep(0)
            setattr(report, name, checked)
    except ValidationError:
        return await asyncio.to_thread(parse, ReportIn, value)  # which says all that is wrong, and where
    return report


def unpack(data: bytes) -> bytes:
    """The content of one gzip member, counted while it is unpacked."""
    unpacker = zlib.decompressobj(_GZIP)
    chunks: list[bytes] = []
    size = 0
    rest = data
    try:
        while not unpacker.eof:
            chunk = unpacker.decompress(rest, _STEP_BYTES)
            rest = unpacker.unconsumed_tail
            size += len(chunk)
            if size > MAX_UNPACKED_BYTES:
                raise PayloadTooLarge("unpacked_bytes", MAX_UNPACKED_BYTES)
            if size > RATIO_COUNTS_FROM and size > MAX_RATIO * len(data):
                raise PayloadTooLarge("packing_ratio", MAX_RATIO)
            chunks.append(chunk)
            if not chunk and not rest:
                break
    except zlib.error:
        raise Invalid("the body is not gzip, though `Content-Encoding` says so") from None
    if not unpacker.eof or unpacker.unused_data:
        raise Invalid("the body is not one whole gzip member")
    return b"".join(chunks)


def _read(body: bytes, is_packed: bool) -> tuple[Any, int]:
    data = unpack(body) if is_packed else body
    return read_records(data, nodes=MAX_NODES), len(data)
