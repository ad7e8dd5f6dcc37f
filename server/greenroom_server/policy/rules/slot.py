"""What the slot that is asked about does now: nothing that customers see, or run the build."""

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import SlotRule
from greenroom_server.policy.findings import failed, passed, pending
from greenroom_server.policy.question import Question, is_live, runs


def slot(question: Question, rule: SlotRule) -> Finding:
    """Of an environment without slots it says nothing."""
    environment, wanted = question.request.environment, question.request.slot
    slots = question.environment.slots
    if not slots:
        return Finding("not_applicable", "slot.none", f"`{environment}` has no slots")
    if wanted not in slots:
        named = "no slot" if wanted is None else f"the slot `{wanted}`"
        text = f"the request names {named}; `{environment}` has {', '.join(slots)}"
        return failed("slot.unknown", text, params={"slots": list(slots)})
    here = [one for one in question.index.deployments.get(environment, ()) if one.slot == wanted and runs(one)]
    if rule.must_be == "idle":
        live = tuple(one.id for one in here if is_live(one))
        text = f"the slot `{wanted}` is live"
        return pending("slot.live", text, params={"slot": wanted}, evidence=live) if live else passed()
    ran = tuple(one.id for one in here if question.is_subject(one.digest))
    if ran:
        return passed(ran)
    steps = ({"do": "deploy", "environment": environment, "slot": wanted},)
    text = f"the slot `{wanted}` does not run the build"
    return pending("slot.not_deployed", text, params={"slot": wanted}, next=steps)
