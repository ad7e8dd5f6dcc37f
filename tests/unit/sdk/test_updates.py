"""What becomes of what arrives: whole or not at all, never older, never of somebody else."""

import json
import random
from typing import Any

import pytest
from tests.unit.sdk.documents import (
    change,
    change_event,
    compact,
    event,
    goodbye,
    heartbeat,
    seal,
    snapshot,
    snapshot_event,
)
from tests.unit.sdk.machine_rig import Rig, streaming

from greenroom.held import MAX_DOCUMENT_BYTES, read_document
from greenroom.steps import Fetch, Open, Read

BAD_BODIES = {
    "empty": b"",
    "object": b"{}",
    "html": b"<!doctype html><title>Log in</title>",
    "null": b"null",
    "no checksum": compact(snapshot(9, a=True)),
    "wrong checksum": seal(snapshot(9, a=True)).replace(b'"revision":9', b'"revision":8'),
    "cut": seal(snapshot(9, a=True))[:-40],
    "future schema": seal({**snapshot(9, a=True), "schema": 2}),
    "no flags": seal({name: value for name, value in snapshot(9).items() if name != "flags"}),
    "not utf-8": seal(snapshot(9, a="ä")).decode().encode("latin-1"),
    "deep": b'{"schema":' + b"[" * 100_000,
    "too large": b'{"' + b"x" * MAX_DOCUMENT_BYTES,
    "other environment": seal(snapshot(9, environment="staging", a=True)),
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_answer_replaces_nothing(body: bytes) -> None:
    """What is good stays, the cause is told, and the next good answer is taken."""
    rig = Rig(is_streaming=False)
    rig.attempt()
    rig.answer(200, snapshot(1, a=False))
    rig.attempt()
    rig.answer(200, body)

    assert rig.values == {"a": False}
    assert rig.state == "stale"
    assert "cannot be used" in (rig.updates.health.cause or "")
    rig.attempt()
    rig.answer(200, snapshot(2, a=True))
    assert (rig.values, rig.state) == ({"a": True}, "ready")


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
@pytest.mark.parametrize("name", ["snapshot", "change"])
def test_a_bad_event_ends_the_stream_and_nothing_else(body: bytes, name: str) -> None:
    """Then everything is fetched."""
    rig = streaming(chance=0.0)
    rig.receive(event(name, body or b"\n"))

    assert rig.values == {"a": False}
    assert rig.state == "stale"
    assert rig.attempt() == Fetch('"e1.1"')


@pytest.mark.parametrize("status", [204, 301, 400, 401, 403, 404, 429, 500, 503])
def test_an_error_is_no_data(status: int) -> None:
    """Even if its body is a perfect snapshot."""
    rig = Rig(is_streaming=False)
    rig.attempt()
    rig.answer(200, snapshot(1, a=False))
    rig.attempt()
    rig.answer(status, snapshot(2, a=True))

    assert rig.values == {"a": False}


def test_a_304_of_nothing_is_a_failure() -> None:
    """A cache in between answered for somebody else."""
    rig = Rig()
    rig.attempt()
    rig.answer(304)

    assert rig.state == "error"


def test_changes_are_applied_in_order() -> None:
    """Each names the flags that it touched."""
    rig = streaming()
    rig.receive(change_event(change(1, 2, a=True)) + change_event(change(2, 4, b="x")))
    rig.receive(change_event(change(4, 5, removed=("a",))))

    assert rig.values == {"b": "x"}
    assert [sorted(swap.changed) for swap in rig.swaps[1:]] == [["a"], ["b"], ["a"]]
    assert isinstance(rig.step(), Read)


def test_a_change_cut_at_every_byte_is_never_half_applied() -> None:
    """Only the last byte makes it so; whatever is missing, the state is all old."""
    data = change_event(change(1, 2, a=True, b="x", c=3))
    for cut in range(len(data)):
        rig = streaming(chance=0.0)
        rig.receive(data[:cut])
        rig.receive(b"")

        assert rig.values == {"a": False}
        assert rig.attempt() == Open("e1.1")
    rig = streaming()
    for index in range(len(data)):
        rig.receive(data[index : index + 1])
    assert rig.values == {"a": True, "b": "x", "c": 3}


def test_a_change_with_any_byte_altered_is_refused_or_ignored() -> None:
    """A flipped bit leads to the old state or to the whole new one, and never between."""
    data = change_event(change(1, 2, a=True, b="x"))
    wrong = [data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :] for at in range(len(data)) for bit in (1, 32)]
    for altered in wrong:
        rig = streaming(chance=0.0)
        rig.receive(altered)

        assert rig.values in ({"a": False}, {"a": True, "b": "x"}), altered


@pytest.mark.parametrize(("start", "to"), [(2, 3), (0, 5)])
def test_a_gap_means_fetching(start: int, to: int) -> None:
    """A change that does not begin here is not applied."""
    rig = streaming(chance=0.0)
    rig.receive(change_event(change(start, to, a=True)))

    assert rig.values == {"a": False}
    assert isinstance(rig.attempt(), Fetch)


def test_a_change_that_comes_twice_is_ignored() -> None:
    """The stream stays open."""
    rig = streaming()
    rig.receive(change_event(change(1, 2, a=True)) * 2)

    assert rig.values == {"a": True}
    assert isinstance(rig.step(), Read)


def test_a_change_of_another_epoch_is_refused() -> None:
    """Histories are not mixed."""
    rig = streaming(chance=0.0)
    rig.receive(change_event(change(1, 2, epoch="e2", a=True)))

    assert rig.values == {"a": False}
    assert isinstance(rig.attempt(), Fetch)


def test_an_older_revision_is_ignored() -> None:
    """A server that lags takes nobody back."""
    rig = streaming()
    rig.receive(snapshot_event(snapshot(5, a=True)))
    rig.receive(snapshot_event(snapshot(3, a=False)))

    assert rig.values == {"a": True}
    assert isinstance(rig.step(), Read)


def test_another_epoch_is_followed() -> None:
    """A restored database begins anew, maybe at a lower number."""
    rig = streaming()
    rig.receive(snapshot_event(snapshot(50, a=True)))
    rig.receive(snapshot_event(snapshot(3, epoch="e2", a=False)))

    assert rig.values == {"a": False}
    assert rig.updates.held is not None
    assert rig.updates.held.tag == "e2.3"


def test_unknown_events_and_comments_are_ignored() -> None:
    """A later server may say more."""
    rig = streaming()
    rig.receive(b": ping\n\n" + event("weather", b"sunny") + b"data: no name\n\n" + change_event(change(1, 2, a=True)))

    assert rig.values == {"a": True}
    assert isinstance(rig.step(), Read)


def test_a_heartbeat_that_is_ahead_means_that_something_was_missed() -> None:
    """An event got lost on its way."""
    rig = streaming(chance=0.0)
    rig.receive(heartbeat(1))
    assert isinstance(rig.step(), Read)

    rig.receive(heartbeat(2))

    assert isinstance(rig.attempt(), Fetch)


def test_nothing_is_taken_after_a_goodbye() -> None:
    """Whatever still comes on that stream."""
    rig = streaming()
    rig.receive(goodbye(10) + change_event(change(1, 2, a=True)))

    assert rig.values == {"a": False}


def test_an_html_page_is_no_stream() -> None:
    """A login page with 200 is a failure like any other."""
    rig = Rig()
    rig.attempt()
    rig.answer(200, snapshot(1, a=True))
    rig.attempt()
    rig.open(200, "text/html")

    assert rig.state == "stale"
    assert "text/html" in (rig.updates.health.cause or "")


def test_an_endless_event_is_cut() -> None:
    """Memory is bounded by the largest snapshot there can be."""
    rig = streaming(chance=0.0)
    for _ in range(100):
        rig.receive(b"x" * 65_536)
        if not isinstance(rig.step(), Read):
            break

    assert isinstance(rig.attempt(), Fetch)


def test_whole_snapshots_name_only_what_changed() -> None:
    """Although all is read anew."""
    rig = streaming()
    first = snapshot(2, a=True, b=1, c="x")
    second = {**first, "revision": 3, "flags": {**first["flags"], "b": {**first["flags"]["b"], "enabled": False}}}
    rig.receive(snapshot_event(first))
    rig.receive(snapshot_event(second))

    assert [sorted(swap.changed) for swap in rig.swaps[1:]] == [["a", "b", "c"], ["b"]]


def test_flags_that_depend_on_what_changed_are_named_too() -> None:
    """Through segments and prerequisites."""
    first = snapshot(2, base=True, gated=True, aimed=True, other=True)
    first["segments"] = {"vip": {"key": "vip", "version": 1, "when": clause("1")}}
    first["flags"]["gated"]["prerequisites"] = [{"flag": "base", "variants": ["on"]}]
    first["flags"]["aimed"]["rules"] = [{"id": "r", "when": {"segment": "vip"}, "serve": {"variant": "off"}}]
    second = json.loads(json.dumps({**first, "revision": 3}))
    second["flags"]["base"]["enabled"] = False
    third = json.loads(json.dumps({**second, "revision": 4}))
    third["segments"]["vip"]["when"] = clause("2")
    rig = streaming()
    for document in (first, second, third):
        rig.receive(snapshot_event(document))

    assert [sorted(swap.changed) for swap in rig.swaps[2:]] == [["base", "gated"], ["aimed"]]


def clause(value: str) -> dict[str, object]:
    return {"attribute": "id", "op": "in", "values": [value]}


def test_a_copy_from_disk_is_confirmed_by_304() -> None:
    """It is stale until then, and asked for by its tag."""
    rig = Rig(read_document(snapshot(4, a=True), "disk"))
    assert rig.state == "stale"
    assert rig.attempt() == Fetch('"e1.4"')

    rig.answer(304)

    assert rig.state == "ready"
    assert rig.updates.held is not None
    assert rig.updates.held.origin == "server"
    assert rig.swaps[0].changed == frozenset()


def test_a_bootstrap_is_replaced_by_whatever_the_server_says() -> None:
    """It may claim any revision; the server is asked for everything."""
    rig = Rig(read_document(snapshot(10**9, a=True), "bootstrap"))
    assert rig.attempt() == Fetch(None)

    rig.answer(200, snapshot(1, a=False))

    assert rig.values == {"a": False}


def test_one_unusable_flag_takes_no_other_down() -> None:
    """An operator of the future."""
    document = snapshot(2, good=True, odd=True)
    odd_rule = {"id": "r", "when": {"attribute": "x", "op": "sounds_like", "values": ["y"]}, "serve": {"variant": "on"}}
    document["flags"]["odd"]["rules"] = [odd_rule]
    rig = streaming()
    rig.receive(snapshot_event(document))

    assert rig.state == "ready"
    assert rig.updates.held is not None
    assert len(rig.updates.held.snapshot.warnings) == 1


def test_what_is_written_to_disk_is_what_is_held() -> None:
    """After changes too, the sealed document reads as the same flags."""
    rig = streaming()
    rig.receive(change_event(change(1, 2, a=True, b=10.0)) + change_event(change(2, 3, c="ä", removed=("a",))))
    held = rig.updates.held
    assert held is not None

    other = Rig(is_streaming=False)
    other.attempt()
    other.answer(200, held.sealed_bytes())

    assert other.values == rig.values == {"b": 10.0, "c": "ä"}
    assert type(other.values["b"]) is float


@pytest.mark.parametrize("seed", range(5))
def test_any_history_keeps_to_whole_states(seed: int) -> None:
    """Random cuts, repeats, losses, noise and refusals: the values are always those of one revision, never an older."""
    chance = random.Random(seed)
    history: dict[int, Any] = {revision: {"a": revision, "b": revision} for revision in range(1, 40)}
    rig = Rig(chance=0.5)
    served = reached = 1
    for _ in range(3_000):
        served = min(served + (chance.random() < 0.1), 39)
        step = rig.step()
        match step:
            case Fetch():
                if chance.random() < 0.5:
                    rig.answer(chance.choice([500, 401, 200]), b"<html>")
                else:
                    rig.answer(200, snapshot(chance.randint(max(1, served - 3), served), **history[served]))
            case Open():
                rig.open(chance.choice([200, 503]))
            case Read():
                start = chance.randint(max(1, served - 3), served)
                data = chance.choice(
                    [
                        change_event(change(start, start + 1, **history[min(start + 1, 39)])),
                        snapshot_event(snapshot(start, **history[start])),
                        b"noise",
                        b"",
                        heartbeat(start),
                    ]
                )
                rig.receive(data[: chance.choice([len(data), len(data), chance.randint(0, len(data))])])
            case _:
                rig.pass_time(step.seconds)
        if rig.values:
            assert rig.values["a"] == rig.values["b"]
            assert rig.updates.held is not None
            assert rig.updates.held.snapshot.revision >= reached
            reached = rig.updates.held.snapshot.revision
