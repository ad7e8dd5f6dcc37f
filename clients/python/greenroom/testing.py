"""Flags for the tests of applications: in memory, without a server, changed at will.

    flags = InMemoryFlags({"new-checkout": True, "limit": 10})
    with flags.override({"new-checkout": False}):
        ...
    assert flags.tracked == [Outcome("order-paid", "user-7", 49.95)]

The pytest fixture `greenroom_flags` is one without flags; it comes with the package.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from greenroom.both_sinks import BothSinks
from greenroom.client import Client
from greenroom.errors import ConfigurationError
from greenroom.evaluation import Evaluation, Snapshot, limits
from greenroom.held import changed_flags, read_document
from greenroom.options import Options
from greenroom.sinks import Context, ExposureSink
from greenroom.steps import Swap

VARIANT: Final = "value"
"""The variant of a flag that was given as a value; of boolean flags it is `on` or `off`."""

MAX_RECORDED: Final = 100_000
"""Of more exposures or outcomes the first are forgotten."""

_TYPES: Final = {bool: "boolean", str: "string", int: "integer", float: "float", dict: "object"}


def flag_document(key: str, value: Any) -> dict[str, Any]:
    """A flag, as in a snapshot, that gives this value to everybody; raises ConfigurationError if no flag has such."""
    kind = _TYPES.get(type(value))
    if kind is None:
        raise ConfigurationError(f"the flag `{key}` cannot have a value of the type {type(value).__name__}")
    variants = {"on": True, "off": False} if kind == "boolean" else {VARIANT: value}
    name = ("on" if value else "off") if kind == "boolean" else VARIANT
    return {
        "key": key,
        "type": kind,
        "variants": variants,
        "client_visible": False,
        "track_exposures": "counts",
        "version": 1,
        "enabled": True,
        "off_variant": name,
        "prerequisites": [],
        "rules": [],
        "fallthrough": {"variant": name},
    }


def snapshot_document(
    flags: Mapping[str, Mapping[str, Any]], segments: Mapping[str, Any] | None = None, *, revision: int = 1
) -> dict[str, Any]:
    """A snapshot of these flag documents: for a `StaticSource`, or as a bootstrap."""
    return {
        "schema": limits.SCHEMA,
        "project": "tests",
        "environment": "tests",
        "epoch": "tests",
        "revision": revision,
        "published_at": "2026-01-01T00:00:00.000Z",
        "flags": dict(flags),
        "segments": dict(segments or {}),
    }


class Exposure(NamedTuple):
    """What was served to whom; without variant and value if it was the caller's default."""

    flag: str
    variant: str | None
    value: Any
    targeting_key: Any


class Outcome(NamedTuple):
    """What was tracked of whom."""

    name: str
    targeting_key: Any
    value: float | None


class Recorder:
    """An `ExposureSink` that remembers each evaluation and each outcome, in order."""

    def __init__(self) -> None:
        self.exposures: deque[Exposure] = deque(maxlen=MAX_RECORDED)
        self.outcomes: deque[Outcome] = deque(maxlen=MAX_RECORDED)

    def exposed(self, evaluation: Evaluation, context: Context) -> None:
        """Remember it."""
        value = None if evaluation.variant is None else evaluation.value
        self.exposures.append(Exposure(evaluation.flag_key, evaluation.variant, value, _key_of(context)))

    def tracked(self, event: str, context: Context, value: float | None) -> None:
        """Remember it."""
        self.outcomes.append(Outcome(event, _key_of(context), value))

    def swapped(self, snapshot: Snapshot) -> None:
        """Nothing to remember."""

    def forked(self) -> None:
        """What was told is known in the child as well."""

    def close(self, timeout_s: float) -> None:
        """What was told stays."""


class InMemoryFlags(Client):
    """A `Client` whose flags are what a test says. It starts no thread; listeners are called within `set`.

    `exposures` and `tracked` are what the application asked for and tracked since the start, or since `forget_told`.
    """

    __test__ = False

    def __init__(self, values: Mapping[str, Any] | None = None, *, sink: ExposureSink | None = None) -> None:
        self._documents = {key: flag_document(key, value) for key, value in (values or {}).items()}
        bootstrap = snapshot_document(self._documents)
        self._recorder = Recorder()
        both = self._recorder if sink is None else BothSinks(sink, self._recorder)
        super().__init__(options=Options(is_offline=True, bootstrap=bootstrap, sink=both))

    @property
    def exposures(self) -> list[Exposure]:
        """Each evaluation, of values and details; not of bulk reads."""
        return list(self._recorder.exposures)

    @property
    def tracked(self) -> list[Outcome]:
        """Each call of `track`."""
        return list(self._recorder.outcomes)

    def forget_told(self) -> None:
        """Begin to record anew."""
        self._recorder.exposures.clear()
        self._recorder.outcomes.clear()

    def set(self, key: str, value: Any) -> None:
        """Give everybody this value; the type may be another than before."""
        self._replace({**self._documents, key: flag_document(key, value)})

    def set_document(self, flag: Mapping[str, Any]) -> None:
        """Have a flag with rules and all, as in a snapshot; raises Unusable if it is none."""
        self._replace({**self._documents, str(flag["key"]): dict(flag)})

    def remove(self, key: str) -> None:
        """Have the flag no more."""
        self._replace({name: document for name, document in self._documents.items() if name != key})

    @contextmanager
    def override(self, values: Mapping[str, Any]) -> Iterator["InMemoryFlags"]:
        """Give everybody these values for the length of the block."""
        before = self._documents
        self._replace({**before, **{key: flag_document(key, value) for key, value in values.items()}})
        try:
            yield self
        finally:
            self._replace(before)

    def _replace(self, documents: dict[str, dict[str, Any]]) -> None:
        old = self._held
        assert old is not None  # noqa: S101 (there is a bootstrap)
        new = read_document(snapshot_document(documents, revision=old.snapshot.revision + 1), "bootstrap")
        self._documents = documents
        self._take([Swap(new, changed_flags(old, new))])


def _key_of(context: Any) -> Any:
    try:
        return context.get("targetingKey")
    except Exception:  # a context may be anything
        return None
