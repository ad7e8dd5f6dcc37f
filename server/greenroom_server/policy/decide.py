"""May it go? Every rule that bears on the request is evaluated, and the worst outcome decides.

`darken` is always allowed, also with a policy that is broken or absent. Nothing else is allowed by absence.
"""

from greenroom_server.policy.answer import answer, foreseen
from greenroom_server.policy.asking import ACTIONS, ask
from greenroom_server.policy.checks import own_checks
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.decision import Decision, Finding, RuleResult
from greenroom_server.policy.document import Rule
from greenroom_server.policy.facts import Instant, Request, Snapshot
from greenroom_server.policy.findings import failed
from greenroom_server.policy.judge import broken
from greenroom_server.policy.obligations import obligations
from greenroom_server.policy.outlook import Outlook, Results
from greenroom_server.policy.question import Check, Index, Question


def decide(snapshot: Snapshot, request: Request, policy: Policy | None, now: Instant) -> Decision:
    """The decision on the request at `now`, from nothing but its arguments. Never raises on data.

    `policy` is None where none is in force, or the one in force cannot be read. `inputs_digest` is empty where the
    facts cannot be written down; then nothing but `darken` is allowed.
    """
    return decide_on(Index(snapshot), request, policy, now)


def decide_on(facts: Index, request: Request, policy: Policy | None, now: Instant) -> Decision:
    """`decide`, for whoever asks more than once on the same facts: what was found out of them before is known."""
    try:
        if request.action == "darken":
            return answer(facts, request, policy, now, "allow", ())
        decision = _decided(facts, request, policy, now)
        if decision.inputs_digest or decision.verdict == "deny":
            return decision
        raise ValueError("facts that cannot be written down")
    except Exception as error:
        if request.action == "darken":
            return answer(facts, request, None, now, "allow", ())
        return answer(facts, request, None, now, "deny", (_own(broken(error)),))


def _decided(facts: Index, request: Request, policy: Policy | None, now: Instant) -> Decision:
    if policy is None or request.action not in ACTIONS or request.environment not in policy.document.environments:
        return answer(facts, request, policy, now, "deny", (_own(_no_policy(request, policy)),))
    question, outlook = outlook_on(facts, request, policy, now)
    standing = outlook.standing(now)
    if not _is_ruled(request, standing.results):
        return answer(facts, request, policy, now, "deny", (_own(_no_policy(request, policy)),))
    return foreseen(question, outlook, standing, obligations=obligations(question))


def outlook_on(facts: Index, request: Request, policy: Policy, now: Instant) -> tuple[Question, Outlook]:
    """What a decision on the request is made of: for whoever needs no decision, such as a replay of many.

    The policy must know the environment, and the action must be one that rules are about.
    """
    question = ask(facts, request, policy, now)
    checks = [*_rules(question), *own_checks(question)]
    return question, Outlook(question, checks, _ahead(request, now), breakable=True)


def _rules(question: Question) -> list[Check]:
    """The rules about this action in this environment; those for another mode are listed and not asked."""
    return [_check(rule, question) for rule in question.policy.document.rules if question.is_ruled_by(rule)]


def _check(rule: Rule, question: Question) -> Check:
    if rule.modes is None or question.snapshot.mode in rule.modes:
        return lambda asked: asked.judge(asked, rule)
    text = f"in mode {question.snapshot.mode} this rule does not apply"
    result = RuleResult(rule.id, rule.kind, rule.condition, Finding("not_applicable", "mode.other", text))
    return lambda _: result


def _ahead(request: Request, now: Instant) -> Instant | None:
    """The scheduled instant, unless it has come already."""
    at = request.scheduled_for
    return at if at is not None and at > now else None


def _is_ruled(request: Request, results: Results) -> bool:
    """A rollback is touched only by rules that name it; of everything else a rule must approve."""
    return request.action == "rollback" or any(
        not result.id.startswith("_") and result.finding.outcome != "not_applicable" for result in results
    )


def _no_policy(request: Request, policy: Policy | None) -> Finding:
    if policy is None:
        text = "no policy is in force, or it cannot be read"
    elif request.environment not in policy.document.environments:
        text = f"the policy has no environment `{request.environment}`"
    else:
        text = f"no rule of the policy is about the action `{request.action}` in `{request.environment}`"
    return failed("policy.none", text, next=({"do": "write_policy"},))


def _own(finding: Finding) -> RuleResult:
    return RuleResult("_policy", "policy", None, finding)
