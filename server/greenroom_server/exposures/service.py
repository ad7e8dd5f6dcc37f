"""Exposures as one piece: what the composition root makes, starts, looks after and closes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from greenroom_server.access.principal import Principal
from greenroom_server.clock import Clock
from greenroom_server.errors import FieldError, Forbidden, Invalid
from greenroom_server.exposures.intake import Bounds, Intake
from greenroom_server.exposures.partitions import Window, day_of, day_of_id
from greenroom_server.exposures.service_intake import (
    Report,
    Store,
    drop_partitions,
    forget_instances,
    housekeeping,
    make_partitions,
)
from greenroom_server.exposures.wire import ReceiptOut, ReportIn
from greenroom_server.web.times import moment_of

_SEEN_AGAIN_S: Final = 60.0
_REMEMBERED: Final = 20_000
_ROWS_A_STEP: Final = 250

log = structlog.get_logger(__name__)

# The keys of the flags that client keys may see in an environment; from memory.
VisibleFlags = Callable[[UUID], Awaitable[frozenset[str]]]

# `Exposures.take_in`.
TakeIn = Callable[[Principal, ReportIn, int], Awaitable[ReceiptOut]]


class Registry(Protocol):
    """Where metrics are made; `observability.metrics.Metrics` is one."""

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None: ...


class Exposures:
    """In this order: `start`, `take_in` and `keep_house` as often as wanted, `close`."""

    def __init__(
        self,
        database: Store,
        *,
        clock: Clock,
        visible_flags: VisibleFlags,
        retention_days: int,
        bounds: Bounds | None = None,
    ) -> None:
        self.intake = Intake(database, bounds)
        self._database = database
        self._clock = clock
        self._visible_flags = visible_flags
        self._retention_days = retention_days
        # When an instance was last written down, and as what: saying it each time would rewrite its row all day.
        self._seen: dict[tuple[Any, ...], tuple[tuple[Any, ...], float]] = {}

    async def start(self) -> None:
        await self.intake.start()

    async def close(self) -> None:
        await self.intake.close()

    def watch(self, registry: Registry) -> None:
        """Show what happens here in a metrics registry."""
        intake = self.intake
        registry.watch("exposure_rows_waiting", "Reported rows that are not on disk yet.", lambda: intake.rows)
        registry.watch("exposure_rows_stored", "Reported rows stored since the start.", lambda: intake.stored)
        registry.watch("exposure_batches_refused", "Batches refused because too much waited.", lambda: intake.refused)

    async def take_in(self, principal: Principal, batch: ReportIn, size: int) -> ReceiptOut:
        """Returns once all is on disk that belongs there; raises `TooManyRequests` or `Unavailable`."""
        environment_id = principal.environment_id
        if environment_id is None:
            raise Forbidden("this takes an SDK key, which belongs to one environment")
        is_client = principal.kind != "server"
        visible = await self._visible_flags(environment_id) if is_client else None
        now = self._clock.now()
        report = Report(environment_id, size)
        for _ in _fill(report, batch, Window.around(now, self._retention_days), visible):
            await asyncio.sleep(0)  # evaluation has its turn
        state = None if is_client else self._news_of(environment_id, batch, now)
        report.instance = state
        sent = len(batch.counts) + len(batch.exposures) + len(batch.events)
        if report.rows > 1 or state is not None:
            await self.intake.accept(report)
        if state is not None:
            self._remember(state)
        return ReceiptOut(accepted=report.rows - 1, ignored=sent - (report.rows - 1))

    async def keep_house(self) -> None:
        """Make the partitions of the days to come, and drop what is older than the retention."""
        now = self._clock.now()
        window = Window.around(now, self._retention_days)
        today = day_of(now)
        async with housekeeping(self._database) as connection:
            await make_partitions(connection, (today - 1, today, today + 1))
            dropped = await drop_partitions(connection, window)
            await forget_instances(connection, now - timedelta(days=self._retention_days))
        if dropped:
            log.info("dropped what is past its retention", partitions=dropped)

    def _news_of(self, environment_id: UUID, batch: ReportIn, now: datetime) -> tuple[Any, ...] | None:
        """The instance's row, if it differs from what was written or that was a minute ago."""
        one = batch.instance
        labels = (one.sdk, one.sdk_version, one.application, one.version, one.build, one.epoch, one.revision)
        row = (environment_id, one.id, *labels, one.since, batch.dropped, now)
        known = self._seen.get(row[:2])
        if known is not None and known[0] == row[2:-1] and monotonic() - known[1] < _SEEN_AGAIN_S:
            return None
        return row

    def _remember(self, state: tuple[Any, ...]) -> None:
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[state[:2]] = (state[2:-1], monotonic())


def _fill(report: Report, batch: ReportIn, window: Window, visible: frozenset[str] | None) -> Iterator[None]:
    """The rows of the batch that belong into the store: of days within the window and of flags within sight.

    In steps, of which none takes longer than a millisecond.
    """
    environment_id, days = report.environment_id, report.days
    for index, one in enumerate(batch.exposures):
        day = day_of_id(one.id)
        at = _moment(one.at, f"/exposures/{index}/at")
        if window.holds(day) and (visible is None or one.flag in visible):
            days.add(day)
            report.exposures.append((one.id, environment_id, one.flag, one.variant, one.targeting_key, at))
        if index % _ROWS_A_STEP == _ROWS_A_STEP - 1:
            yield
    for index, event in enumerate(batch.events):
        day = day_of_id(event.id)
        at = _moment(event.at, f"/events/{index}/at")
        if window.holds(day):
            days.add(day)
            report.outcomes.append((event.id, environment_id, event.name, event.value, event.targeting_key, at))
        if index % _ROWS_A_STEP == _ROWS_A_STEP - 1:
            yield
    for index, count in enumerate(batch.counts):
        minute = _moment(count.minute, f"/counts/{index}/minute").replace(second=0, microsecond=0)
        both = {day_of_id(count.id), day_of(minute)}
        if all(map(window.holds, both)) and (visible is None or count.flag in visible):
            days |= both
            variant = count.variant or ""
            report.counts.append((count.id, environment_id, count.flag, variant, count.reason, minute, count.count))
        if index % _ROWS_A_STEP == _ROWS_A_STEP - 1:
            yield


def _moment(text: str, pointer: str) -> datetime:
    try:
        return datetime.fromisoformat(text) if text[-1] == "Z" else moment_of(text.upper())
    except ValueError:
        raise Invalid(errors=[FieldError(pointer, f"`{text}` is not in the calendar")]) from None
