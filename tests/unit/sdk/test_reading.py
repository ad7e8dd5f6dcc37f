"""Evaluating through a client: exact types, defaults, copies, sinks and listeners. It never raises."""

import logging
import math
import threading
from typing import Any

import pytest
from tests.unit.sdk.documents import snapshot

from greenroom import Client, ConfigurationError, Evaluation, Options, StaticSource
from greenroom.copies import MAX_BUILT_NODES, copier_of
from greenroom.testing import Exposure, InMemoryFlags, Outcome

VALUES: dict[str, Any] = {
    "boolean": True,
    "string": "text",
    "integer": 2**53,
    "float": 10.0,
    "object": {"x": [1, {"y": None}], "z": {}},
}
DEFAULTS: dict[str, Any] = {"boolean": False, "string": "?", "integer": 7, "float": 7.5, "object": {"default": True}}
METHODS = {"boolean": "bool", "string": "str", "integer": "int", "float": "float", "object": "object"}


class Sink:
    """Remembers what it is told."""

    def __init__(self, *, is_broken: bool = False) -> None:
        self.told: list[tuple[str, Any, str, Any]] = []
        self.tracked_events: list[Any] = []
        self.revisions: list[int] = []
        self.closed = 0
        self._is_broken = is_broken

    def exposed(self, evaluation: Evaluation, context: Any) -> None:
        if self._is_broken:
            raise RuntimeError("sink")
        self.told.append((evaluation.flag_key, evaluation.variant, evaluation.reason, context))

    def tracked(self, event: str, context: Any, value: float | None) -> None:
        if self._is_broken:
            raise RuntimeError("sink")
        self.tracked_events.append((event, context, value))

    def swapped(self, snapshot: Any) -> None:
        self.revisions.append(snapshot.revision)

    def forked(self) -> None:
        pass

    def close(self, timeout_s: float) -> None:
        self.closed += 1


class Hostile:
    """Raises at whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")


def value_of(flags: Client, kind: str, key: str, *context: Any) -> Any:
    return getattr(flags, f"{METHODS[kind]}_value")(key, DEFAULTS[kind], *context)


def details_of(flags: Client, kind: str, key: str, *context: Any) -> Evaluation:
    made: Evaluation = getattr(flags, f"{METHODS[kind]}_details")(key, DEFAULTS[kind], *context)
    return made


@pytest.fixture
def flags() -> InMemoryFlags:
    return InMemoryFlags(VALUES)


@pytest.mark.parametrize("asked", VALUES)
@pytest.mark.parametrize("actual", VALUES)
@pytest.mark.parametrize("times", [1, 2])
def test_types_are_exact(flags: InMemoryFlags, asked: str, actual: str, times: int) -> None:
    """A flag of another type gives the default and TYPE_MISMATCH, the first time and on the fast path."""
    for _ in range(times):
        value, details = value_of(flags, asked, actual), details_of(flags, asked, actual)

    expected = VALUES[asked] if asked == actual else DEFAULTS[asked]
    assert value == expected
    assert type(value) is type(expected)
    assert details.value == expected
    assert details.error_code == (None if asked == actual else "TYPE_MISMATCH")
    assert details.reason == ("STATIC" if asked == actual else "ERROR")


@pytest.mark.parametrize("kind", VALUES)
def test_an_unknown_flag_gives_the_default(flags: InMemoryFlags, kind: str) -> None:
    """The very object that was given."""
    details = details_of(flags, kind, "unknown")

    assert value_of(flags, kind, "unknown") is DEFAULTS[kind]
    assert (details.value, details.variant, details.error_code) == (DEFAULTS[kind], None, "FLAG_NOT_FOUND")


@pytest.mark.parametrize("kind", VALUES)
def test_without_flags_the_default_says_why(kind: str) -> None:
    """Offline without a bootstrap."""
    flags = Client(options=Options(is_offline=True))
    details = details_of(flags, kind, kind)

    assert value_of(flags, kind, kind) is DEFAULTS[kind]
    assert (details.error_code, details.reason) == ("PROVIDER_NOT_READY", "ERROR")
    assert "offline" in (details.error_message or "")
    assert flags.all_details() == []
    assert flags.all_values() == {}


@pytest.mark.parametrize("kind", VALUES)
def test_hostile_keys_give_the_default(flags: InMemoryFlags, kind: str) -> None:
    """Also such as cannot be hashed or looked at."""
    hostile: list[Any] = [None, 5, [], math.nan, Hostile(), "x" * 100_000, "\ud800", b"a", ("a",)]
    for key in hostile:
        assert value_of(flags, kind, key) is DEFAULTS[kind]
        assert details_of(flags, kind, key).error_code == "FLAG_NOT_FOUND"


def test_hostile_contexts_never_raise() -> None:
    """Absurd by type or size; what can be answered is answered."""
    document = snapshot(1, a=False)
    rule = {"id": "r", "when": {"attribute": "x", "op": "in", "values": ["y"]}, "serve": {"variant": "on"}}
    document["flags"]["a"]["rules"] = [rule]
    flags = Client(options=Options(is_offline=True, bootstrap=document))
    hostile: list[Any] = [None, 5, [], "text", Hostile(), {"x": Hostile()}, {"targetingKey": Hostile()}]

    for context in [*hostile, {"x": "y" * 10_000_000}, {"x": list(range(100_000))}]:
        for _ in range(2):
            assert flags.bool_value("a", True, context) in (True, False)
            assert flags.bool_details("a", True, context).flag_key == "a"
        assert isinstance(flags.all_values(context), dict)


def test_an_object_is_the_callers_own(flags: InMemoryFlags) -> None:
    """Whoever changes one changes nobody else's, nested parts included, from values, details and all."""
    for _ in range(2):
        value = flags.object_value("object", {})
        value["x"][1]["y"] = "mine"
        value["z"]["new"] = 1
        flags.object_details("object", {}).value.clear()
        flags.all_values()["object"].clear()
        next(made for made in flags.all_details() if made.flag_key == "object").value.clear()

    assert flags.object_value("object", {}) == VALUES["object"]


@pytest.mark.parametrize("size", [0, 1, MAX_BUILT_NODES - 1, MAX_BUILT_NODES, MAX_BUILT_NODES + 1, 5_000])
def test_copies_of_any_size(size: int) -> None:
    """Small ones are built, large ones unpacked; equal, and of the same types."""
    value: Any = {"list": [1.0, 1, True, None, "ä\ud800"[:1], {}], "many": {f'k"{n}\\': [n] for n in range(size // 2)}}
    copier = copier_of(value)
    first, second = copier(), copier()

    assert first == second == value
    assert repr(first) == repr(value)
    assert first is not second
    assert first["list"] is not second["list"]


def test_rules_see_the_callers_context() -> None:
    """As it is: nobody copies or changes it."""
    document = snapshot(1, a=False)
    rule = {"id": "r", "when": {"attribute": "plan", "op": "in", "values": ["pro"]}, "serve": {"variant": "on"}}
    document["flags"]["a"]["rules"] = [rule]
    flags = Client(options=Options(is_offline=True, bootstrap=document))
    context = {"plan": "pro"}

    assert flags.bool_value("a", False, context) is True
    assert flags.bool_value("a", True, {"plan": "free"}) is False
    assert context == {"plan": "pro"}


def test_flags_that_depend_on_the_clock_are_read_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directly, through a segment and through a prerequisite; the others never ask for the time."""
    document = snapshot(1, direct=False, segment=False, gated=True, plain=True)
    when = {"attribute": "born", "op": "before", "values": ["now-1d"]}
    document["segments"] = {"old": {"key": "old", "version": 1, "when": when}}
    for key, condition in (("direct", when), ("segment", {"segment": "old"})):
        document["flags"][key]["rules"] = [{"id": "r", "when": condition, "serve": {"variant": "on"}}]
    document["flags"]["gated"]["prerequisites"] = [{"flag": "segment", "variants": ["on"]}]
    document["flags"]["gated"]["off_variant"] = "off"
    flags = Client(options=Options(is_offline=True, bootstrap=document))
    born = 1_000_000_000_000
    for days, expected in ((0, False), (2, True), (0, False)):
        now_ns = (born + days * 86_400_000 + 1) * 1_000_000
        monkeypatch.setattr("greenroom.views.time_ns", lambda now_ns=now_ns: now_ns)
        for key in ("direct", "segment", "gated"):
            assert flags.bool_value(key, not expected, {"born": born}) is expected


def test_the_sink_is_told_of_each_evaluation() -> None:
    """Values, details, errors and unknown flags, with the context; not of bulk reads."""
    sink = Sink()
    flags = InMemoryFlags(VALUES, sink=sink)
    context = {"targetingKey": "dora"}
    for kind in VALUES:
        for _ in range(2):
            value_of(flags, kind, kind, context)
        details_of(flags, kind, kind, context)
    flags.bool_value("unknown", False, context)
    flags.bool_value("string", False, context)
    flags.all_values(context)

    variants = {"boolean": "on", **dict.fromkeys(["string", "integer", "float", "object"], "value")}
    assert sink.told == [
        *[(kind, variants[kind], "STATIC", context) for kind in VALUES for _ in range(3)],
        ("unknown", None, "ERROR", context),
        ("string", None, "ERROR", context),
    ]
    assert sink.revisions == [1]


def test_a_broken_sink_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once."""
    flags = InMemoryFlags(VALUES, sink=Sink(is_broken=True))
    with caplog.at_level(logging.ERROR, "greenroom"):
        for kind in VALUES:
            assert value_of(flags, kind, kind) == VALUES[kind]
            assert details_of(flags, kind, kind).value == VALUES[kind]
        flags.track("paid")

    assert len(caplog.records) == 1


def test_outcomes_go_to_the_sink() -> None:
    """And nowhere if there is none."""
    sink = Sink()
    flags = InMemoryFlags(sink=sink)
    flags.track("paid", {"targetingKey": "dora"}, 12.5)
    InMemoryFlags().track("paid")
    flags.close()
    flags.close()

    assert sink.tracked_events == [("paid", {"targetingKey": "dora"}, 12.5)]
    assert sink.closed == 1


def test_listeners_hear_of_their_flag_only() -> None:
    """Until they do not want to any more; one that raises harms no other."""
    flags = InMemoryFlags({"a": 1, "b": 1})
    mine: list[str] = []
    everything: list[str] = []
    updates: list[frozenset[str]] = []

    def broken(key: str) -> None:
        raise RuntimeError(key)

    flags.on_change(broken)
    end = flags.on_change(mine.append, "a")
    flags.on_change(everything.append)
    flags.on_update(updates.append)
    flags.set("a", 2)
    flags.set("b", 2)
    flags.set("b", 2)
    end()
    end()
    flags.remove("a")

    assert mine == ["a"]
    assert everything == ["a", "b", "a"]
    assert updates == [frozenset("a"), frozenset("b"), frozenset("a")]


def test_testing_flags_can_be_overridden_for_a_while(greenroom_flags: InMemoryFlags) -> None:
    """The fixture comes from the package; types may change, new flags go again."""
    greenroom_flags.set("a", 1)
    with greenroom_flags.override({"a": "text", "b": True}) as same:
        assert same is greenroom_flags
        assert greenroom_flags.str_value("a", "") == "text"
        assert greenroom_flags.bool_value("b", False) is True

    assert greenroom_flags.int_value("a", 0) == 1
    assert greenroom_flags.bool_value("b", False) is False


def test_testing_flags_refuse_what_no_flag_can_be() -> None:
    """Before a test goes wrong for it."""
    with pytest.raises(ConfigurationError, match="`a`"):
        InMemoryFlags({"a": object()})


@pytest.mark.parametrize("bootstrap", [{}, {"schema": 9}, "missing.json"])
def test_a_bad_bootstrap_is_refused_at_once(bootstrap: Any) -> None:
    """By the constructor, which may raise."""
    with pytest.raises(ConfigurationError, match="bootstrap"):
        Client(options=Options(is_offline=True, bootstrap=bootstrap))


def test_url_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or are asked for by name."""
    monkeypatch.delenv("GREENROOM_URL", raising=False)
    with pytest.raises(ConfigurationError, match="GREENROOM_URL"):
        Client()
    monkeypatch.setenv("GREENROOM_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GREENROOM_SDK_KEY", "gr_srv_x")
    assert Client().status.state == "starting"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("ftp://x", "k"),
        ("http://", "k"),
        ("x", "k"),
        ("http://u:p@x", "k"),
        ("http://x:99999", "k"),
        ("http://x", "k\n"),
    ],
)
def test_an_address_that_cannot_work_is_refused(url: str, key: str) -> None:
    """And the message shows no secret."""
    with pytest.raises(ConfigurationError) as caught:
        Client(url, key)
    assert "u:p" not in str(caught.value)


def test_a_static_source_serves_documents() -> None:
    """With threads and all; replacing the document reaches the client."""
    source = StaticSource(snapshot(1, a=False))
    changed: list[str] = []
    with Client(source=source) as flags:
        assert flags.wait_ready()
        seen = threading.Event()
        flags.on_change(changed.append)
        flags.on_update(lambda keys: seen.set())
        source.replace(snapshot(2, a=True))
        assert seen.wait(5)
        assert flags.bool_value("a", False) is True
        assert flags.status.revision == 2
    assert changed == ["a"]
    assert flags.bool_value("a", False) is True
    assert flags.status.state == "closed"


def test_readers_among_changes_never_keep_an_old_view() -> None:
    """Threads that ask for known and unknown flags while flags change: afterwards all see the last state."""
    flags = InMemoryFlags({"a": 0})
    done = threading.Event()
    failures: list[object] = []

    def read(worker: int) -> None:
        last = 0
        while not done.is_set():
            flags.bool_value(f"unknown-{worker}", False)
            value = flags.int_value("a", -1)
            if value < last:
                failures.append((value, last))
            last = value

    readers = [threading.Thread(target=read, args=(worker,)) for worker in range(3)]
    for reader in readers:
        reader.start()
    for value in range(300):
        flags.set("a", value)
    done.set()
    for reader in readers:
        reader.join()

    assert failures == []
    assert flags.int_value("a", -1) == 299


def test_testing_flags_remember_what_was_served_and_tracked(greenroom_flags: InMemoryFlags) -> None:
    """Values, defaults and outcomes, in order, whatever the context is; until they are to forget it."""
    greenroom_flags.set("a", True)
    for _ in range(2):
        greenroom_flags.bool_value("a", False, {"targetingKey": "dora"})
    greenroom_flags.str_details("a", "?")
    greenroom_flags.int_value("unknown", 5, None)  # type: ignore[arg-type]
    greenroom_flags.track("paid", {"targetingKey": "dora"}, 12.5)
    greenroom_flags.track("left")

    assert greenroom_flags.exposures == [
        Exposure("a", "on", True, "dora"),
        Exposure("a", "on", True, "dora"),
        Exposure("a", None, None, None),
        Exposure("unknown", None, None, None),
    ]
    assert greenroom_flags.tracked == [Outcome("paid", "dora", 12.5), Outcome("left", None, None)]
    greenroom_flags.forget_told()
    assert (greenroom_flags.exposures, greenroom_flags.tracked) == ([], [])


def test_a_sink_with_tellers_is_asked_once_for_each_evaluation() -> None:
    """And again after a change; errors are told as they come."""

    class Telling(Sink):
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[str] = []
            self.contexts: list[Any] = []

        def teller(self, evaluation: Evaluation) -> Any:
            self.asked.append(evaluation.flag_key)
            return self.contexts.append

    sink = Telling()
    flags = Client(options=Options(is_offline=True, bootstrap=snapshot(1, a=True), sink=sink))
    for number in range(3):
        assert flags.bool_value("a", False, {"n": number}) is True
        flags.bool_details("a", False, {"d": number})
        flags.bool_value("unknown", False)

    assert sink.asked == ["a"]
    assert sink.contexts == [{"n": 0}, {"d": 0}, {"n": 1}, {"d": 1}, {"n": 2}, {"d": 2}]
    assert [told[0] for told in sink.told] == ["unknown"] * 3


def test_a_closed_client_tells_nothing() -> None:
    """But evaluates."""
    sink = Sink()
    flags = InMemoryFlags({"a": True}, sink=sink)
    flags.bool_value("a", False)
    flags.close()
    flags.set("b", True)
    flags.track("paid")

    assert (flags.bool_value("a", False), flags.bool_value("b", False)) == (True, True)
    assert [told[0] for told in sink.told] == ["a"]
    assert sink.tracked_events == []
