"""What the store itself says about a guardrail: alerts that came in, and what applications report."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.errors import NotFound
from greenroom_server.exposures.service_figures import Stretch, broken_darkness, doings, error_share, last_served
from greenroom_server.flags.service_scope import find_environment_id
from greenroom_server.guardrails.definitions import condition_of, source_of, threshold_of
from greenroom_server.guardrails.judging import Reading
from greenroom_server.guardrails.own_counts import darkness_reading, errors_reading, outcomes_reading
from greenroom_server.guardrails.service_alerts import alert_reading
from greenroom_server.guardrails.service_readings import Answered
from greenroom_server.guardrails.tables import GuardrailRow
from greenroom_server.guardrails.wire import DarknessSource, ErrorsSource, OutcomesSource


async def own_answers(
    session: AsyncSession, row: GuardrailRow, since: Sequence[datetime], now: datetime
) -> list[Answered]:
    """The reading of a source in the store; of outcomes one for each moment that they are counted from."""
    source = source_of(row)
    if not isinstance(source, DarknessSource | ErrorsSource | OutcomesSource):
        return [Answered(await alert_reading(session, row, now))]
    environment_id = await find_environment_id(session, row.project, source.environment)
    if environment_id is None:
        raise NotFound(f"there is no environment `{source.environment}`")
    if isinstance(source, DarknessSource):
        is_dark, broken = await broken_darkness(session, environment_id, source.flag)
        return [Answered(darkness_reading(source, is_dark, broken, now))]
    if isinstance(source, ErrorsSource):
        begin = (now - timedelta(seconds=source.window_s)).replace(second=0, microsecond=0)
        figures = await error_share(session, Stretch(environment_id, source.flag, begin, now))
        return [Answered(errors_reading(source, threshold_of(row), figures, now))]
    return [
        Answered(await _outcomes(session, row, source, Stretch(environment_id, source.flag, one, now)), one)
        for one in since
    ]


async def _outcomes(session: AsyncSession, row: GuardrailRow, source: OutcomesSource, asked: Stretch) -> Reading:
    condition = condition_of(row)
    assert condition is not None  # noqa: S101 (checked when it was saved)
    variants = [source.variant, *([source.against] if source.against is not None else [])]
    figures = await doings(session, asked, source.event, variants)
    last = await last_served(session, asked, source.variant)
    return outcomes_reading(source, condition, figures, last, asked.until)
