"""What clients did and what they were told, written down as Jepsen does, and whether the store agrees.

A client begins an operation (`invoke`) and learns that it worked (`ok`), that it did not (`fail`), or nothing for sure
(`info`); one that never ended is unknown too. What was acknowledged must be stored; what is stored must have been
acknowledged or be unknown; nothing is stored twice; a client never sees an older revision of an epoch than it saw.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

Kind = Literal["invoke", "ok", "fail", "info"]
WRITE: Final = "write"
READ: Final = "read"
_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Record:
    """One line: `values` are the ids of a write, or the one `<epoch>.<revision>` of a read."""

    at: float
    client: str
    kind: Kind
    what: str
    values: tuple[str, ...]


class History:
    """The records in the order in which they were made, each on disk at once; for any thread."""

    def __init__(self, file: Path, seed: int) -> None:
        self.file, self.seed = file, seed
        self.records: list[Record] = []
        self._lock = threading.Lock()
        self._lines = file.open("a", buffering=1)

    def add(self, client: str, kind: Kind, what: str, values: Iterable[str] = (), at: float | None = None) -> None:
        with self._lock:
            record = Record(time.monotonic() if at is None else at, client, kind, what, tuple(values))
            self.records.append(record)
            self._lines.write(json.dumps(asdict(record)) + "\n")

    def must_agree(self, stored: Iterable[str]) -> None:
        """The test fails unless the store agrees, and says what is wrong, with which seed, and where to read it all."""
        found = list(problems(self.records, stored))
        assert not found, "\n".join([*found, f"seed {self.seed}; the whole history: {self.file}"])

    def close(self) -> None:
        self._lines.close()


@dataclass(frozen=True, slots=True)
class Writes:
    """All ids that were sent, by what became of them; the three sets have nothing in common."""

    acknowledged: frozenset[str]
    unknown: frozenset[str]
    failed: frozenset[str]

    @classmethod
    def of(cls, records: Iterable[Record]) -> "Writes":
        acknowledged: set[str] = set()
        unknown: set[str] = set()
        failed: set[str] = set()
        under_way: dict[str, tuple[str, ...]] = {}
        for one in records:
            if one.what != WRITE:
                continue
            if one.kind == "invoke":
                unknown.update(under_way.get(one.client, ()))  # the client began anew without an answer
                under_way[one.client] = one.values
            else:
                ids = under_way.pop(one.client)
                {"ok": acknowledged, "info": unknown, "fail": failed}[one.kind].update(ids)
        unknown.update(*under_way.values())
        unknown -= acknowledged
        return cls(frozenset(acknowledged), frozenset(unknown), frozenset(failed - acknowledged - unknown))


def problems(records: Sequence[Record], stored: Iterable[str]) -> Iterator[str]:
    """What contradicts the rules, in words."""
    writes, times = Writes.of(records), Counter(stored)
    there = set(times)
    yield from _named("acknowledged and lost", writes.acknowledged - there)
    yield from _named("refused and stored all the same", there & writes.failed)
    yield from _named("stored though nobody sent it", there - writes.acknowledged - writes.unknown - writes.failed)
    yield from _named("stored more than once", {id_ for id_, number in times.items() if number > 1})
    yield from _falls(records)


def _named(what: str, ids: set[str] | frozenset[str]) -> Iterator[str]:
    if ids:
        more = "" if len(ids) <= _NAMED else ", …"
        yield f"{what}: {len(ids)}: {', '.join(sorted(ids)[:_NAMED])}{more}"


def _falls(records: Iterable[Record]) -> Iterator[str]:
    newest: dict[tuple[str, str], int] = {}
    for one in records:
        if one.what != READ or one.kind != "ok":
            continue
        epoch, _, revision = one.values[0].rpartition(".")
        before = newest.get((one.client, epoch), 0)
        if int(revision) < before:
            yield f"{one.client} saw revision {revision} of epoch {epoch} after {before}"
        newest[one.client, epoch] = max(before, int(revision))
