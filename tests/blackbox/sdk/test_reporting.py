"""Reports on real sockets, of both clients: whatever the network does, each row is told once, or counted as lost."""

import logging
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.sdk.conftest import OpenClient
from tests.blackbox.sdk.fault_proxy import HTML, FaultProxy, Faults, http_answer
from tests.blackbox.sdk.sdk_server import RECEIPT, SdkServer
from tests.blackbox.sdk.spools import files_of_rows
from tests.blackbox.server_process import until
from tests.unit.sdk.documents import Json, change, snapshot
from tests.unit.sdk.test_reading import Sink

from greenroom import ExposureOptions, Transport, hidden_key

pytestmark = pytest.mark.usefixtures("quick")

DORA = {"targetingKey": "dora", "mail": "canary@example.org"}
QUICK = ExposureOptions(flush_interval_s=0.1, report_changes_within_s=0.1)
PROBLEM = (400, "application/problem+json", b'{"errors":[{"pointer":"/events/0/name","detail":"`canary`"}]}')


def rows(server: SdkServer, kind: str) -> list[Json]:
    """What the server was told, each id once, as it would store it."""
    found = {row["id"]: row for report in list(server.reports) for row in report.get(kind, [])}
    return list(found.values())


def names(server: SdkServer) -> list[str]:
    return sorted(row["name"] for row in rows(server, "events"))


def counted(server: SdkServer) -> Counter[Any]:
    sums: Counter[Any] = Counter()
    for row in rows(server, "counts"):
        sums[row["flag"], row["variant"], row["reason"]] += row["count"]
    return sums


def test_what_was_served_and_who_serves_it(server: SdkServer, open_client: OpenClient) -> None:
    """Without being asked to, as soon as it is due; of the context the targeting key and nothing else."""
    server.document["flags"]["a"]["track_exposures"] = "subjects"
    client = open_client(server.url, exposures=QUICK, application="shop", version="1.2", build="sha256:0a")
    for _ in range(3):
        client.bool_value("a", True, DORA)
        client.str_value("unknown", "", DORA)
    client.track("paid", DORA, 12.5)
    until(lambda: counted(server).total() == 6 and names(server) == ["paid"], what="the report")

    assert counted(server) == {("a", "off", "STATIC"): 3, ("unknown", None, "ERROR"): 3}
    (exposure,), (event,) = rows(server, "exposures"), rows(server, "events")
    assert (exposure["flag"], exposure["variant"], exposure["targeting_key"]) == ("a", "off", "dora")
    assert (event["value"], event["targeting_key"]) == (12.5, "dora")
    assert "canary" not in str(server.reports)
    until(lambda: server.reports[-1]["instance"]["revision"] == 1)
    instance = server.reports[-1]["instance"]
    assert instance.pop("id")
    assert instance.pop("since") <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    known = {"sdk": "greenroom-python", "sdk_version": "0.1.0", "epoch": "e1", "revision": 1}
    assert instance == {**known, "application": "shop", "version": "1.2", "build": "sha256:0a"}
    until(lambda: client.status.unreported == 0)
    assert client.status.dropped == 0


FAULTS = {
    "refused": Faults(is_refused=True),
    "reset": Faults(cut_after=0, is_reset=True),
    "answer cut": Faults(cut_after=30),
    "silent": Faults(cut_after=0, is_silent=True),
    "html": Faults(substitute=http_answer(200, HTML)),
    "html that says 202": Faults(substitute=http_answer(202, HTML)),
    "html that says 400": Faults(substitute=http_answer(400, HTML)),
    "redirect": Faults(substitute=http_answer(302, HTML, location="https://login.example/")),
    "429": Faults(substitute=http_answer(429, b"{}", "application/problem+json", retry_after="0")),
    "500": Faults(substitute=http_answer(500, HTML)),
    "503": Faults(substitute=http_answer(503, b"{}", "application/problem+json", retry_after="0")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_delays_reports_and_loses_nothing(
    server: SdkServer, open_client: OpenClient, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Even where the server has stored what it could not confirm; the cause shows, and is logged once."""
    with FaultProxy(server.url) as proxy:
        client = open_client(proxy.url, exposures=QUICK, transport=Transport(answer_timeout_s=0.2))
        until(lambda: len(server.reports) > 0, what="the first report")
        proxy.choose = lambda request: FAULTS[name] if "/exposures" in request else Faults()
        proxy.faults = FAULTS[name] if name == "refused" else Faults()
        for number in range(20):
            client.bool_value("a", True, DORA)
            client.track(f"event-{number:02d}", DORA)
        until(lambda: "reporting does not work" in str(client.status.warnings), what="the cause")
        client.track("late", DORA)
        tried = len(proxy.requests)
        until(lambda: len(proxy.requests) > tried or name == "refused", what="another attempt")
        assert client.status.unreported > 0
        proxy.choose = lambda request: Faults()
        proxy.faults = Faults()
        until(lambda: "late" in names(server) and client.status.unreported == 0, what="the reports")

    assert names(server) == [*(f"event-{number:02d}" for number in range(20)), "late"]
    assert counted(server)["a", "off", "STATIC"] == 20
    assert client.status.dropped == 0
    assert not any("report" in warning for warning in client.status.warnings)
    told = Counter(record.getMessage() for record in caplog.records if "reporting does not work" in record.getMessage())
    assert set(told.values()) == {1}
    assert "canary" not in caplog.text
    assert server.at_once == 1


def test_delay_is_only_slow(server: SdkServer, open_client: OpenClient) -> None:
    """And there is never more than one report under way."""
    with FaultProxy(server.url) as proxy:
        client = open_client(proxy.url, exposures=QUICK)
        proxy.choose = lambda request: Faults(delay_s=0.3) if "/exposures" in request else Faults()
        for number in range(5_000):
            client.track(f"event-{number:04d}", DORA)
        until(lambda: len(rows(server, "events")) == 5_000, what="the reports")

    assert server.at_once == 1
    assert len({row["name"] for row in rows(server, "events")}) == 5_000
    assert client.status.dropped == 0


def test_a_batch_that_is_refused_is_dropped_and_counted(
    server: SdkServer, open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Once; the log has the place and not the value, and the next batch goes."""
    server.judge = lambda report: PROBLEM if report.get("events") else RECEIPT
    client = open_client(server.url, exposures=QUICK)
    client.track("refused", DORA)
    until(lambda: client.status.dropped == 1, what="the verdict")
    server.judge = lambda report: RECEIPT
    client.track("good", DORA)
    until(lambda: "good" in names(server), what="the next report")

    assert sum(bool(report.get("events")) for report in server.reports) == 2
    assert [report["dropped"] for report in server.reports if report.get("events")] == [0, 1]
    assert caplog.text.count("/events/0/name") == 1
    assert "canary" not in caplog.text


def test_a_batch_that_is_too_large_is_split(server: SdkServer, open_client: OpenClient) -> None:
    """Until the pieces pass; no id changes."""
    taken: list[Json] = []

    def judge(report: Json) -> tuple[int, str, bytes]:
        if len(report.get("events", [])) > 4:
            return (413, "text/html", HTML)
        taken.extend(report.get("events", []))
        return RECEIPT

    server.judge = judge
    client = open_client(server.url, exposures=ExposureOptions(flush_interval_s=1.0))
    for number in range(30):
        client.track(f"event-{number:02d}", DORA)
    until(lambda: len(taken) == 30, what="all pieces")

    assert sorted(row["name"] for row in taken) == [f"event-{number:02d}" for number in range(30)]
    assert len({row["id"] for row in taken}) == len(rows(server, "events")) == 30
    assert client.status.dropped == 0


def test_closing_reports_what_is_left(server: SdkServer, open_client: OpenClient) -> None:
    """Though nothing was due; and a second time does nothing."""
    client = open_client(server.url, exposures=ExposureOptions(flush_interval_s=600))
    for _ in range(7):
        client.bool_value("a", True)
    client.track("paid", DORA)
    open_client.close(client)
    assert counted(server)["a", "off", "STATIC"] == 7
    assert names(server) == ["paid"]
    reports = len(server.reports)
    open_client.close(client)
    client.bool_value("a", True)

    assert len(server.reports) == reports


def test_closing_takes_no_longer_than_it_may(server: SdkServer, open_client: OpenClient, tmp_path: Path) -> None:
    """With a server that takes the report and says nothing; what was lost is told, and a spool is given free."""
    with FaultProxy(server.url) as proxy:
        client = open_client(proxy.url, exposures=ExposureOptions(flush_interval_s=600))
        proxy.choose = lambda request: Faults(cut_after=0, is_silent=True)
        client.track("paid", DORA)
        begun = time.monotonic()
        open_client.close(client, 0.5)

        assert time.monotonic() - begun < 2.0
        assert "could not be reported" in str(client.status.warnings)

        how = ExposureOptions(flush_interval_s=600, spool_dir=tmp_path)
        proxy.choose = lambda request: Faults()
        client = open_client(proxy.url, exposures=how)
        proxy.choose = lambda request: Faults(cut_after=0, is_silent=True)
        client.track("kept", DORA)
        open_client.close(client, 0.7)
        proxy.choose = lambda request: Faults()
        open_client(proxy.url, exposures=ExposureOptions(flush_interval_s=0.1, spool_dir=tmp_path))
        until(lambda: "kept" in names(server) and not files_of_rows(tmp_path), what="what was kept")


def test_exposures_can_be_switched_off(server: SdkServer, open_client: OpenClient) -> None:
    """Then nothing is counted and nothing sent, not even at the end."""
    client = open_client(server.url, exposures=False)
    client.bool_value("a", True, DORA)
    client.track("paid", DORA)
    open_client.close(client)

    assert server.reports == []


def test_an_idle_instance_has_a_heartbeat(
    server: SdkServer, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the server knows that it lives."""
    monkeypatch.setattr("greenroom.exposures.HEARTBEAT_S", 0.2)
    open_client(server.url, exposures=ExposureOptions(flush_interval_s=600))
    until(lambda: len(server.reports) >= 4, what="heartbeats")

    assert all(set(report) == {"instance", "dropped"} for report in server.reports)
    assert len({report["instance"]["id"] for report in server.reports}) == 1


def test_a_new_revision_is_told_at_once(server: SdkServer, open_client: OpenClient) -> None:
    """Long before the next report would be due."""
    open_client(server.url, exposures=ExposureOptions(flush_interval_s=600, report_changes_within_s=0.2))
    until(lambda: server.streams == 1 and len(server.reports) > 0, what="the stream")
    server.publish(change(1, 2, a=True), snapshot(2, a=True))
    spent = until(lambda: server.reports[-1]["instance"]["revision"] == 2, 5, "the revision")

    print(f"told after {spent * 1000:.0f} ms")
    assert spent < 3


def test_what_waits_has_a_bound(server: SdkServer, open_client: OpenClient) -> None:
    """The oldest go first; how many went is in the status and in the next report."""
    server.judge = lambda report: (503, "text/html", HTML)
    client = open_client(server.url, exposures=ExposureOptions(flush_interval_s=0.1, max_buffered=100))
    for number in range(1_000):
        client.track(f"event-{number:04d}", DORA)
        if number % 50 == 0:
            until(lambda: client.status.unreported <= 200)
    until(lambda: client.status.dropped >= 800, what="the drops")
    server.judge = lambda report: RECEIPT
    reports = len(server.reports)
    until(lambda: client.status.unreported == 0 and len(server.reports) > reports, what="the reports")
    client.track("last", DORA)
    until(lambda: "last" in names(server), what="the last")

    assert server.reports[-1]["dropped"] == client.status.dropped


def test_a_private_targeting_key_never_leaves(server: SdkServer, open_client: OpenClient, tmp_path: Path) -> None:
    """Neither to the server nor to the disk; its hash does."""
    server.document["flags"]["a"]["track_exposures"] = "subjects"
    server.judge = lambda report: (503, "text/html", HTML)
    how = ExposureOptions(flush_interval_s=0.1, subject_secret="s", spool_dir=tmp_path)
    client = open_client(server.url, exposures=how, private_attributes=["targetingKey"])
    client.bool_value("a", True, {"targetingKey": "canary"})
    client.track("paid", {"targetingKey": "canary"})
    until(lambda: len(rows(server, "exposures")) == 1 and names(server) == ["paid"], what="the report")

    told = {row["targeting_key"] for kind in ("exposures", "events") for row in rows(server, kind)}
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*.rows"))
    assert told == {hidden_key("canary", "s")}
    assert hidden_key("canary", "s").encode() in kept
    assert b"canary" not in kept


def test_a_sink_of_ones_own_is_told_as_well(server: SdkServer, open_client: OpenClient) -> None:
    """And may be broken: reports go all the same."""
    good, broken = Sink(), Sink(is_broken=True)
    for sink in (good, broken):
        client = open_client(server.url, exposures=QUICK, sink=sink)
        for _ in range(3):
            assert client.bool_value("a", True, DORA) is False
        client.track("paid", DORA, 1.0)
    until(lambda: counted(server).total() == 6 and len(names(server)) == 2, what="the reports")

    assert good.told == [("a", "off", "STATIC", DORA)] * 3
    assert good.tracked_events == [("paid", DORA, 1.0)]


def test_what_an_outage_left_in_the_spool_is_sent_by_the_next(
    server: SdkServer, open_client: OpenClient, tmp_path: Path
) -> None:
    """Under the same ids; then the folder is empty."""
    server.judge = lambda report: (503, "text/html", HTML)
    how = ExposureOptions(flush_interval_s=0.1, spool_dir=tmp_path / "spool")
    client = open_client(server.url, exposures=how)
    for number in range(20):
        client.bool_value("a", True, DORA)
        client.track(f"event-{number:02d}", DORA)
    open_client.close(client)
    tried = {row["id"] for row in rows(server, "events")}
    server.reports.clear()
    server.judge = lambda report: RECEIPT
    client = open_client(server.url, exposures=how)
    until(lambda: len(names(server)) == 20 and counted(server).total() == 20, what="what was left")
    open_client.close(client)

    assert tried
    assert tried == {row["id"] for row in rows(server, "events")}
    assert list(tmp_path.rglob("*.rows")) == []
    assert client.status.dropped == 0


def test_a_spool_that_cannot_be_used_harms_nobody(
    server: SdkServer, open_client: OpenClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Reports go from memory; the cause shows, and is logged once."""
    (tmp_path / "spool").write_text("a file")
    client = open_client(server.url, exposures=ExposureOptions(flush_interval_s=0.1, spool_dir=tmp_path / "spool"))
    for number in range(3):
        client.track(f"event-{number}", DORA)
        until(lambda number=number: len(names(server)) == number + 1, what="the report")  # type: ignore[misc]

    assert "not kept on disk" in str(client.status.warnings)
    assert sum("not kept on disk" in record.getMessage() for record in caplog.records) == 1
    assert all(record.levelno < logging.ERROR for record in caplog.records)


def test_rows_are_synced_within_a_second_and_never_by_the_application(
    server: SdkServer, open_client: OpenClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server says nothing, and the one report that may be under way hangs."""
    real, synced = os.fsync, []

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.append((threading.current_thread().name, time.monotonic(), sum(map(_lines, tmp_path.rglob("*.rows")))))

    monkeypatch.setattr("greenroom.spool.os.fsync", fsync)
    with FaultProxy(server.url) as proxy:
        client = open_client(proxy.url, exposures=ExposureOptions(flush_interval_s=0.1, spool_dir=tmp_path))
        proxy.choose = lambda request: Faults(cut_after=0, is_silent=True) if "/exposures" in request else Faults()
        for number in range(5):
            client.track(f"event-{number}", DORA)
            told = time.monotonic()
            until(lambda number=number: bool(synced) and synced[-1][2] > number, 5)  # type: ignore[misc]
            assert synced[-1][1] - told < 1.0
        assert {name for name, _, _ in synced} == {"greenroom exposures"}
        open_client.close(client, 0.2)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")
