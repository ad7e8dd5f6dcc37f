"""What Greenroom checks by itself, whatever the policy says. Their ids begin with `_`, which no rule's id can."""

from collections.abc import Callable
from typing import Final

from greenroom_server.policy.decision import Finding, RuleResult
from greenroom_server.policy.document import ConcurrencyRule
from greenroom_server.policy.facts import Instant
from greenroom_server.policy.findings import failed, passed, pending
from greenroom_server.policy.instants import earliest, instant_text
from greenroom_server.policy.judge import broken
from greenroom_server.policy.question import Check, Question
from greenroom_server.policy.rules.concurrency import busy
from greenroom_server.policy.rules.order import is_older
from greenroom_server.policy.rules.subject import without_build
from greenroom_server.policy.rules.under_way import arriving

SUBJECT: Final = "_subject"
ROLLBACK: Final = "_rollback"


def own_checks(question: Question) -> list[Check]:
    """Those that the action needs, by id. A rollback must work in an emergency, so it needs the fewest."""
    if question.request.action == "rollback":
        return [_check(ROLLBACK, _rollback), _check(SUBJECT, _subject)]
    checks = [_check("_mode", _mode), _check("_review", _review), _check(SUBJECT, _subject)]
    if question.request.action == "release":
        checks.append(_check("_under_way", arriving))
    if question.request.action in ("deploy", "switch") and not _limits_itself(question):
        checks.append(_check("_concurrency", lambda asked: busy(asked, asked.environment.concurrency)))
    return checks


def _check(name: str, function: Callable[[Question], Finding]) -> Check:
    def run(question: Question) -> RuleResult:
        try:
            finding = function(question)
        except Exception as error:
            finding = broken(error)
        return RuleResult(name, name.removeprefix("_"), None, finding)

    return run


def _limits_itself(question: Question) -> bool:
    return any(
        isinstance(rule, ConcurrencyRule) and question.is_ruled_by(rule) for rule in question.policy.document.rules
    )


def _subject(question: Question) -> Finding:
    """The digest names exactly one build; for a release, everything that is live is of a known build."""
    request = question.request
    if request.action != "release":
        return without_build(question) or passed()
    if request.flag is None:
        return failed("flag.missing", "the request names no flag")
    for one in question.index.live(request.environment):
        if question.index.build_of(one.digest) is None:
            params = {"digest": one.digest}
            text = f"`{one.digest}`, which is live in `{request.environment}`, is of no known build, or of several"
            return failed("digest.unknown", text, params=params, evidence=(one.id,))
    return passed()


def _mode(question: Question) -> Finding:
    """In hold nothing goes by itself. A mode that nobody knows holds too."""
    if question.snapshot.mode in ("delivery", "deployment"):
        return passed()
    return pending("mode.hold", "the service is on hold here", next=({"do": "set_mode"},))


def _review(question: Question) -> Finding:
    """Whoever broke the glass owes a review; once it is overdue, nothing goes the normal way."""
    due = sorted(
        (at, one.id)
        for one in question.snapshot.break_glasses
        if one.used_at is not None and one.reviewed_at is None and (at := _due(question, one.used_at, one.review_due))
    )
    if not due:
        return passed()
    at, name = due[0]
    if question.now < at:
        return passed(holds_until=at)
    return pending(
        "breakglass.review_overdue",
        f"the review of the break-glass `{name}` is overdue since {instant_text(at)}",
        params={"break_glass": name, "due": instant_text(at)},
        next=({"do": "review_break_glass", "break_glass": name},),
    )


def _due(question: Question, used_at: Instant, review_due: Instant | None) -> Instant | None:
    spec = question.policy.document.break_glass
    return earliest(review_due, None if spec is None else used_at + spec.review_within)


def _rollback(question: Question) -> Finding:
    """Only back to what was live here before. Anything else would be a deployment that no rule looks at."""
    if (nothing := without_build(question)) is not None:
        return nothing
    environment = question.request.environment
    build = question.builds[0]
    was_live = any(
        one.live_from is not None and one.digest in build.digests
        for one in question.index.deployments.get(environment, ())
    )
    if not was_live:
        return failed("rollback.never_live", f"it was never live in `{environment}`: deploy it instead")
    for one in question.index.live(environment):
        live = question.index.build_of(one.digest)
        if live is not None and live is not build and not is_older(question, build, live):
            return failed("rollback.not_older", f"it is not older than `{live.id}`, which is live: deploy it instead")
    return passed()
