"""Every line of the retry contract, with a clock of the test's own."""

import pytest
from tests.unit.sdk.documents import goodbye, heartbeat, snapshot, snapshot_event
from tests.unit.sdk.machine_rig import DAY_S, Rig, polling, streaming

from greenroom.steps import Fetch, Open, Read, Wait


def test_first_a_fetch_then_the_stream_after_what_was_fetched() -> None:
    """Nothing is waited for in between."""
    rig = Rig()

    assert rig.step() == Fetch(None)
    rig.answer(200, snapshot(7, a=True))
    assert rig.step() == Open("e1.7")
    rig.open()
    assert isinstance(rig.step(), Read)
    assert rig.state == "ready"


@pytest.mark.parametrize("status", [0, 400, 408, 429, 500, 502, 503, 504, 410, 302])
def test_waits_double_up_to_thirty_seconds(status: int) -> None:
    """With the highest chance: 1, 2, 4, 8, 16, 30, 30 seconds, whatever the failure."""
    rig = Rig(chance=1.0)

    waits = [rig.fail_attempt(status) for _ in range(8)]

    assert waits == [0, 1, 2, 4, 8, 16, 30, 30]


def test_jitter_is_full() -> None:
    """Chance spreads a wait from nothing to its ceiling."""
    for chance, expected in ((0.0, 0.0), (0.25, 0.25), (0.999, 0.999)):
        rig = Rig(chance=chance)
        rig.fail_attempt()

        step = rig.step()

        assert (step.seconds if isinstance(step, Wait) else 0.0) == pytest.approx(expected)


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize(("chance", "expected"), [(0.0, 150.0), (0.5, 225.0), (1.0, 300.0)])
def test_a_refusal_is_slow_and_never_the_end(status: int, chance: float, expected: float) -> None:
    """Two and a half to five minutes, for a week; then all is well, and so it is here."""
    rig = Rig(chance=chance)
    rig.fail_attempt(status)

    while rig.now < 7 * DAY_S:
        assert rig.fail_attempt(status) == expected

    if isinstance(rig.attempt(), Fetch):
        rig.answer(200, snapshot(1, a=True))
    else:
        rig.open()
        rig.receive(snapshot_event(snapshot(1, a=True)))
    assert rig.state == "ready"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_stream_is_slow_too(status: int) -> None:
    """And then it is seen whether fetches are refused as well."""
    rig = Rig(chance=0.0)
    rig.attempt()
    rig.answer(200, snapshot(1, a=True))

    rig.fail_attempt(status)

    assert rig.wait() == 150.0
    assert isinstance(rig.step(), Fetch)


@pytest.mark.parametrize(("said", "expected"), [(0.5, 1.0), (20.0, 20.0), (300.0, 300.0), (86_400.0, 300.0)])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_up_to_five_minutes(status: int, said: float, expected: float) -> None:
    """It never shortens a wait."""
    rig = Rig(chance=1.0)
    rig.fail_attempt(status, retry_after_s=said)

    assert rig.wait() == expected


def test_a_refusal_keeps_retry_after_too() -> None:
    """The longer of both."""
    rig = Rig(chance=0.0)
    rig.fail_attempt(403, retry_after_s=200)

    assert rig.wait() == 200


@pytest.mark.parametrize(("healthy_s", "expected"), [(59, 4.0), (60, 1.0)])
def test_a_minute_of_health_wipes_the_slate_clean(healthy_s: int, expected: float) -> None:
    """After two failures and less than that, waits go on where they were."""
    rig = streaming(chance=1.0)
    for _ in range(2):
        rig.receive(b"")
        assert isinstance(rig.attempt(), Open)
        rig.open()

    for _ in range(healthy_s):
        rig.pass_time(1)
        rig.receive(heartbeat(1))
        assert isinstance(rig.step(), Read)
    rig.receive(b"")

    assert rig.wait() == expected


def test_polls_keep_the_client_healthy() -> None:
    """Polls that succeed for a minute wipe the slate clean as well."""
    rig = polling(chance=0.5)
    for _ in range(4):
        rig.answer(304)
        rig.attempt()

    rig.fail()

    assert rig.wait() == 0.5


def test_a_stream_is_dead_after_forty_five_silent_seconds() -> None:
    """Not before; any byte counts. Then it is fetched what was missed."""
    rig = streaming(chance=0.0)
    rig.pass_time(40)
    rig.receive(b": still here\n\n")
    rig.pass_time(44.9)

    step = rig.step()
    assert isinstance(step, Read)
    assert step.timeout_s == pytest.approx(0.1)
    assert rig.state == "ready"

    rig.pass_time(0.2)
    assert rig.attempt() == Fetch('"e1.1"')
    assert rig.state == "stale"
    assert "silent" in (rig.updates.health.cause or "")


def test_a_late_wake_up_is_no_silence_if_bytes_are_there() -> None:
    """A driver that tells bytes before it asks again keeps its stream."""
    rig = streaming()
    rig.pass_time(44)
    rig.receive(heartbeat(1))
    rig.pass_time(44)

    assert isinstance(rig.step(), Read)


def test_after_three_failed_streams_it_polls() -> None:
    """Every thirty seconds, spread by a fifth."""
    for chance, expected in ((0.0, 24.0), (0.5, 30.0), (1.0, 36.0)):
        rig = polling(chance=chance)
        rig.answer(304)

        assert rig.wait() == pytest.approx(expected)
        assert rig.step() == Fetch('"e1.1"')


def test_polls_bring_news_and_health() -> None:
    """Polling is a way to be ready."""
    rig = polling()
    rig.answer(200, snapshot(2, a=True))

    assert rig.state == "ready"
    assert rig.values == {"a": True}


def test_a_polling_client_tries_the_stream_within_five_minutes() -> None:
    """Again and again, and goes back to polling when it fails; that is no staleness."""
    rig = polling(chance=0.0)
    begun = rig.now
    for _ in range(3):
        rig.answer(304)
        while isinstance(step := rig.attempt(), Fetch):
            rig.answer(304)
        assert isinstance(step, Open)
        assert 280 <= rig.now - begun <= 301
        begun = rig.now
        rig.fail()
        assert rig.state == "ready"
        assert isinstance(rig.attempt(), Fetch)


def test_a_stream_that_works_again_ends_polling() -> None:
    """After a minute of it, one failure brings the stream back at once and no poll."""
    rig = polling(chance=0.0)
    rig.answer(304)
    while isinstance(rig.attempt(), Fetch):
        rig.answer(304)
    rig.open()
    for _ in range(6):
        rig.pass_time(10)
        rig.receive(heartbeat(1))

    rig.receive(b"")

    assert isinstance(rig.attempt(), Open)


def test_a_stream_that_flaps_does_not_end_polling() -> None:
    """It opened, and broke within the minute."""
    rig = polling(chance=0.0)
    rig.answer(304)
    while isinstance(rig.attempt(), Fetch):
        rig.answer(304)
    rig.open()
    rig.pass_time(10)
    rig.fail("connection reset")

    assert isinstance(rig.attempt(), Fetch)


def test_after_an_outage_the_stream_comes_back_with_the_first_poll() -> None:
    """Nobody polls for five minutes only because the server was restarted."""
    rig = polling(chance=0.5)
    for _ in range(5):
        rig.fail()
        assert isinstance(rig.attempt(), Fetch)
    rig.answer(304)

    assert rig.attempt() == Open("e1.1")


def test_a_restart_that_only_the_stream_felt_does_not_lead_to_polling() -> None:
    """The server was not there for three attempts to open the stream, and is there for the fetch that follows."""
    rig = streaming(chance=0.5)
    rig.receive(b"")
    for _ in range(2):
        assert isinstance(rig.attempt(), Open)
        rig.fail(is_connected=False)
    assert isinstance(rig.attempt(), Fetch)
    rig.answer(304)

    assert rig.attempt() == Open("e1.1")


@pytest.mark.parametrize("status", [429, 503])
def test_a_full_server_is_asked_for_a_stream_and_for_news_each_time(status: int) -> None:
    """For as long as it says `Retry-After`: streams are well, and nothing is missed meanwhile."""
    rig = streaming(chance=1.0)
    rig.receive(b"")
    waits = []
    for _ in range(8):
        if isinstance(rig.attempt(), Fetch):
            rig.answer(304)
        assert isinstance(rig.attempt(), Open)
        rig.open(status, retry_after_s=7.0)
        waits.append(rig.wait())
        assert rig.step() == Fetch('"e1.1"')

    assert waits == [7, 7, 8, 16, 30, 30, 30, 30]


def test_a_goodbye_is_kept() -> None:
    """The stream is closed, the delay is waited for, and nothing is stale."""
    rig = streaming(chance=0.0)
    rig.pass_time(20)
    rig.receive(goodbye(7_000))

    assert rig.wait() == 7.0
    assert rig.step() == Open("e1.1")
    assert rig.state == "ready"


def test_a_goodbye_cannot_send_anybody_away_for_long() -> None:
    """Five minutes at most."""
    rig = streaming(chance=0.0)
    rig.receive(goodbye(10**12))

    assert rig.wait() == 300.0


def test_goodbyes_without_delay_are_no_loop() -> None:
    """Whoever is sent away at once each time waits longer each time."""
    rig = streaming(chance=1.0)
    waits = []
    for _ in range(4):
        rig.receive(goodbye(0))
        waits.append(rig.wait())
        assert isinstance(rig.step(), Open)
        rig.open()

    assert waits == [1, 2, 4, 8]


def test_a_first_break_is_not_stale_yet() -> None:
    """Streams break every day; only if the next attempt fails is there something to tell."""
    rig = streaming(chance=0.0)
    rig.receive(b"")
    assert rig.state == "ready"

    rig.attempt()
    rig.fail("connection refused")

    assert (rig.state, rig.updates.health.cause) == ("stale", "connection refused")


def test_polling_only_never_opens_a_stream() -> None:
    """As an option, with an interval of its own."""
    rig = Rig(is_streaming=False, poll_interval_s=10.0, chance=0.5)
    for _ in range(100):
        assert isinstance(rig.attempt(), Fetch)
        rig.answer(200, snapshot(1, a=True))

    rig.fail_attempt(503)
    assert isinstance(rig.attempt(), Fetch)
    assert rig.now - 1000 == pytest.approx(100 * 10 + 0.5)


def test_refusals_are_told_as_such() -> None:
    """So that a provider can say FATAL; a missing path is none."""
    for status, is_refused in ((401, True), (403, True), (404, False), (503, False)):
        rig = Rig()
        rig.fail_attempt(status)

        assert rig.updates.health.is_refused is is_refused
        assert rig.state == "error"
