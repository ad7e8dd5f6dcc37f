"""Waiting at the gate: ask, wait for news of that decision, ask again, until it is no wait or the time is up."""

import time
from collections.abc import Callable
from typing import Final

from greenroom.cli.decision import WAIT, Decision
from greenroom.cli.decision_words import headline, moments
from greenroom.cli.errors import Unreachable
from greenroom.cli.session import Session

LONGEST_POLL_S: Final = 25.0
PAUSE_S: Final = 2.0  # between two questions, however fast news comes
OUTAGE_PAUSE_S: Final = 5.0


def wait_for(session: Session, ask: Callable[[], Decision], length_s: float) -> Decision:
    """The last decision. Raises Unreachable if the server cannot be reached when the time is up."""
    deadline = time.monotonic() + length_s
    told: Decision | None = None
    while True:
        try:
            decision = ask()
            told = _tell(session, decision, told)
            if decision.verdict != WAIT or not _comes_news(session, decision, deadline):
                return decision
        except Unreachable as error:
            if time.monotonic() + OUTAGE_PAUSE_S > deadline:
                raise
            session.screen.warn(f"{error.detail}; trying again")
            time.sleep(OUTAGE_PAUSE_S)


def _comes_news(session: Session, decision: Decision, deadline: float) -> bool:
    """Whether the decision may be another one now; False when the time is up."""
    path = session.project_path("decisions", str(decision.id), "news")
    asked_at = time.monotonic()
    while (left_s := deadline - time.monotonic()) > 0:
        poll_s = max(1, int(min(left_s, LONGEST_POLL_S, session.timeout_s - 5)))
        if session.api.get(path, wait=poll_s).body["changed"] is True:
            time.sleep(max(0.0, min(asked_at + PAUSE_S, deadline) - time.monotonic()))
            return True
    return False


def _tell(session: Session, decision: Decision, told: Decision | None) -> Decision:
    """Say what is new since it was last told."""
    if decision.verdict == WAIT and (told is None or told.state != decision.state):
        before = {} if told is None else {rule.id: rule for rule in told.in_the_way}
        now = {rule.id: rule for rule in decision.in_the_way}
        if told is None:
            session.screen.say(f"waiting: {headline(decision)}")
        for rule in (one for name, one in before.items() if name not in now):
            session.screen.say(f"  ✓ {rule.id}")
        for rule in (one for name, one in now.items() if name not in before or before[name].code != one.code):
            session.screen.say(f"  … {rule.id}: {rule.message or rule.code}")
        for line in moments(decision):
            session.screen.say(f"  {line}")
    return decision
