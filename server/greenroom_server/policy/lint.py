"""What the shape of a document cannot say: errors that refuse it, and warnings that its author should hear.

Nothing here knows the time of day: a version that was accepted once is accepted for ever.
"""

from collections.abc import Iterator

from greenroom_server.policy.document import PolicyDocument
from greenroom_server.policy.lint_calendars import calendar_remarks
from greenroom_server.policy.lint_coverage import coverage_remarks
from greenroom_server.policy.lint_names import name_remarks
from greenroom_server.policy.lint_rules import rule_remarks
from greenroom_server.policy.lint_tests import test_remarks
from greenroom_server.policy.remarks import Remark


def lint(document: PolicyDocument) -> tuple[Remark, ...]:
    """Everything to say about a document, errors first, then by where it is."""
    return tuple(sorted(_remarks(document), key=lambda one: (one.severity, one.path, one.message)))


def _remarks(document: PolicyDocument) -> Iterator[Remark]:
    yield from name_remarks(document)
    yield from calendar_remarks(document)
    yield from rule_remarks(document)
    yield from coverage_remarks(document)
    yield from test_remarks(document)
