"""What OpenFeature's layer sees of us besides values: events, status, metadata, tracking, shutdown."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import GeneralError, ProviderFatalError
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails
from tests.blackbox.server_process import until
from tests.unit.sdk.documents import snapshot
from tests.unit.sdk.test_openfeature_gherkin import RefusingSource
from tests.unit.sdk.test_reading import Sink

from greenroom import Client, Options, StaticSource, hidden_key
from greenroom.openfeature import GreenroomProvider
from greenroom.steps import Answer
from greenroom.testing import InMemoryFlags, Outcome


class MoodySource(StaticSource):
    """A source that can be told to fail."""

    def __init__(self, document: Any) -> None:
        super().__init__(document)
        self.status = 200

    def fetch(self, etag: str | None) -> Answer:
        return super().fetch(etag) if self.status == 200 else Answer(self.status)


class Events:
    """Collects a client's events."""

    def __init__(self, client: Any) -> None:
        self.seen: list[tuple[str, Any]] = []
        for event in ProviderEvent:
            client.add_handler(event, self._handler(event.name.removeprefix("PROVIDER_")))

    def _handler(self, name: str) -> Any:
        def handle(details: EventDetails) -> None:
            self.seen.append((name, details.flags_changed))

        return handle

    def names(self) -> list[str]:
        return [name for name, _ in self.seen]


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    api.clear_providers()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.upkeep.random.random", lambda: 0.05)


def test_changes_name_only_what_changed() -> None:
    """CONFIGURATION_CHANGED with `flags_changed`; the first flags are READY and no change."""
    source = StaticSource(snapshot(1, a=1, b=2))
    api.set_provider_and_wait(GreenroomProvider(Client(source=source)), "p")
    client = api.get_client("p")
    events = Events(client)
    until(lambda: events.names() == ["READY"], 5)
    document = snapshot(1, a=1, b=2)
    document["flags"]["b"]["enabled"] = False
    source.replace({**document, "revision": 2})

    until(lambda: len(events.seen) == 2, 5)
    assert events.seen[1] == ("CONFIGURATION_CHANGED", ["b"])


def test_lost_and_found(quick: None) -> None:
    """STALE with the last flags, whose reason says so; READY again afterwards."""
    source = MoodySource(snapshot(1, a=1))
    options = Options(is_streaming=False, poll_interval_s=1.0)
    api.set_provider_and_wait(GreenroomProvider(Client(source=source, options=options)), "p")
    client = api.get_client("p")
    events = Events(client)
    source.status = 503
    until(lambda: client.get_provider_status() is ProviderStatus.STALE, 5)
    details = client.get_integer_details("a", 7)
    assert (details.value, details.reason, details.flag_metadata["reason"]) == (1, "STALE", "STATIC")

    source.status = 200
    until(lambda: client.get_provider_status() is ProviderStatus.READY, 5)
    assert client.get_integer_details("a", 7).reason == "STATIC"
    until(lambda: events.names()[-2:] == ["STALE", "READY"], 5)


@pytest.mark.parametrize(
    ("status", "error"), [(401, ProviderFatalError), (403, ProviderFatalError), (503, GeneralError)]
)
def test_initialize_raises_without_flags(status: int, error: type[Exception]) -> None:
    """A refused key is fatal and found at once; anything else may heal."""
    provider = GreenroomProvider(Client(source=RefusingSource(status)), ready_timeout_s=0.5)

    with pytest.raises(error, match=str(status)):
        api.set_provider_and_wait(provider, "p")


def test_a_failed_start_heals(quick: None) -> None:
    """ERROR at first; READY as soon as there are flags."""
    source = MoodySource(snapshot(1, a=1))
    source.status = 500
    client = Client(source=source, options=Options(is_streaming=False, poll_interval_s=1.0))
    with pytest.raises(GeneralError):
        api.set_provider_and_wait(GreenroomProvider(client, ready_timeout_s=0.1), "p")
    assert api.get_client("p").get_provider_status() is ProviderStatus.ERROR

    source.status = 200

    until(lambda: api.get_client("p").get_provider_status() is ProviderStatus.READY, 5)
    assert api.get_client("p").get_integer_value("a", 7) == 1


def test_metadata_is_what_telemetry_reads() -> None:
    """`flagSetId`, `contextId`, `version`; the provider has a name; the making of one does nothing."""
    threads = threading.active_count()
    provider = GreenroomProvider(Client(source=StaticSource(snapshot(3, a=1))))
    assert threading.active_count() == threads
    assert provider.get_metadata().name == "greenroom"
    api.set_provider_and_wait(provider, "p")
    details = api.get_client("p").get_integer_details("a", 7, EvaluationContext("dora", {}))

    assert dict(details.flag_metadata) == {"version": 3, "flagSetId": "shop/production", "contextId": "dora"}


def test_moments_and_tuples_in_contexts() -> None:
    """OpenFeature allows them."""
    document = snapshot(1, old=False, tagged=False)
    for key, when in (
        ("old", {"attribute": "user.born", "op": "before", "values": ["2000-01-01T00:00:00Z"]}),
        ("tagged", {"attribute": "tags", "op": "in", "values": ["vip"]}),
    ):
        document["flags"][key]["rules"] = [{"id": "r", "when": when, "serve": {"variant": "on"}}]
    api.set_provider_and_wait(GreenroomProvider(Client(source=StaticSource(document))), "p")
    context = EvaluationContext("x", {"user": {"born": datetime(1990, 5, 1, tzinfo=UTC)}, "tags": ("new", "vip")})

    assert api.get_client("p").get_boolean_value("old", False, context) is True
    assert api.get_client("p").get_boolean_value("tagged", False, context) is True


def test_objects_are_copies() -> None:
    """Also through the asynchronous resolvers."""
    api.set_provider_and_wait(GreenroomProvider(Client(source=StaticSource(snapshot(1, a={"x": {"b": 2}})))), "p")
    client = api.get_client("p")
    value: Any = client.get_object_value("a", {})
    value["x"]["b"] = "mine"

    assert asyncio.run(client.get_object_value_async("a", [])) == {"x": {"b": 2}}


def test_outcomes_reach_the_sink_and_shutdown_closes_it() -> None:
    """Once, however often it is called."""
    sink = Sink()
    provider = GreenroomProvider(Client(source=StaticSource(snapshot(1)), options=Options(sink=sink)))
    api.set_provider_and_wait(provider, "p")
    provider.track("paid", EvaluationContext("dora", {"plan": "pro"}), TrackingEventDetails(12.5))
    provider.shutdown()
    provider.shutdown()

    assert sink.tracked_events == [("paid", {"plan": "pro", "targetingKey": "dora"}, 12.5)]
    assert sink.closed == 1


def test_tracking_with_openfeatures_client() -> None:
    """Which merges its contexts first; without details there is no value."""
    with InMemoryFlags() as flags:
        api.set_provider_and_wait(GreenroomProvider(flags))
        client = api.get_client()
        client.track("paid", EvaluationContext("dora"), TrackingEventDetails(12.5, {"mail": "canary"}))
        client.track("left", EvaluationContext("dora"))

        assert flags.tracked == [Outcome("paid", "dora", 12.5), Outcome("left", "dora", None)]


def test_a_private_targeting_key_is_hashed_in_metadata() -> None:
    """Which hooks hand on to telemetry."""
    options = Options(private_attributes=("targetingKey",))
    with Client(source=StaticSource(snapshot(1, a=True)), options=options) as flags:
        assert flags.wait_ready()
        details = GreenroomProvider(flags).resolve_boolean_details("a", False, EvaluationContext("dora"))

    assert details.value is True
    assert details.flag_metadata["contextId"] == hidden_key("dora")
