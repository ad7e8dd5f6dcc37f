"""The closed set of rule kinds: one pure function each, from a question and the rule as it is written to a finding."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules.approval import approval
from greenroom_server.policy.rules.calendar import calendar
from greenroom_server.policy.rules.concurrency import concurrency
from greenroom_server.policy.rules.demo import demo
from greenroom_server.policy.rules.evidence import evidence
from greenroom_server.policy.rules.flag_live import flag_live
from greenroom_server.policy.rules.flags_dark import flags_dark
from greenroom_server.policy.rules.health import health
from greenroom_server.policy.rules.obstacles import obstacles
from greenroom_server.policy.rules.order import order
from greenroom_server.policy.rules.parity import parity
from greenroom_server.policy.rules.provenance import provenance
from greenroom_server.policy.rules.slot import slot
from greenroom_server.policy.rules.soak import soak
from greenroom_server.policy.rules.suites import suites
from greenroom_server.policy.rules.veto import veto

RuleFunction: TypeAlias = Callable[[Question, Any], Finding]

RULES: Final[Mapping[str, RuleFunction]] = MappingProxyType(
    {
        "approval": approval,
        "calendar": calendar,
        "concurrency": concurrency,
        "demo": demo,
        "evidence": evidence,
        "flag_live": flag_live,
        "flags_dark": flags_dark,
        "health": health,
        "obstacles": obstacles,
        "order": order,
        "parity": parity,
        "provenance": provenance,
        "slot": slot,
        "soak": soak,
        "suites": suites,
        "veto": veto,
    }
)
