"""Trying a policy before it counts: what the linter says of it, and what its own tests give."""

from typing import Any

from greenroom_server.decisions.wire import PolicyCheckOut, PolicyRemark, PolicyTestOut
from greenroom_server.policy.compiled import Policy, compile_policy
from greenroom_server.policy.decide import decide
from greenroom_server.policy.remarks import PolicyRefused, Remark
from greenroom_server.policy.testing import run_tests


def check(authored: Any) -> PolicyCheckOut:
    """Everything there is to say about a document that somebody may want to store and activate."""
    try:
        policy = compile_policy(authored, 1)
    except PolicyRefused as refused:
        remarks = [_remark(one) for one in refused.remarks]
        return PolicyCheckOut(digest=None, is_acceptable=False, is_ready=False, remarks=remarks, tests=[])
    tests = tests_of(policy)
    return PolicyCheckOut(
        digest=policy.digest,
        is_acceptable=True,
        is_ready=all(one.passed for one in tests),
        remarks=[_remark(one) for one in policy.warnings],
        tests=tests,
    )


def tests_of(policy: Policy) -> list[PolicyTestOut]:
    """How the policy's own tests go."""
    return [
        PolicyTestOut(
            name=one.name,
            passed=one.has_passed,
            expected=one.expected,
            decided=one.decided,
            codes=list(one.codes),
            failure=one.failure,
        )
        for one in run_tests(policy, decide)
    ]


def failed_tests(policy: Policy) -> list[str]:
    """The names of those of the policy's own tests that fail."""
    return [one.name for one in tests_of(policy) if not one.passed]


def _remark(one: Remark) -> PolicyRemark:
    return PolicyRemark(severity=one.severity, path=one.path, message=one.message)
