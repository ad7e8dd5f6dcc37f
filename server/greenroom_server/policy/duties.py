"""Separation of duties: whose approvals count, for which rule, and who took part in making what is approved."""

from dataclasses import dataclass
from itertools import chain

from greenroom_server.policy.applicability import applies
from greenroom_server.policy.audiences import takes_in
from greenroom_server.policy.document import ApprovalRule
from greenroom_server.policy.facts import Approval, Instant
from greenroom_server.policy.instants import earliest
from greenroom_server.policy.question import Question
from greenroom_server.policy.waivers import waiver_for


@dataclass(slots=True)
class Ballot:
    """The approvals with a rule's role: by person those that are valid now, and the persons whose are not, and why.

    `next_expiry` is the first moment at which one of the valid ones expires.
    """

    valid: dict[str, Approval]
    dependent: tuple[str, ...]
    expired: tuple[str, ...]
    inactive: tuple[str, ...]
    next_expiry: Instant | None


def approvals_for(question: Question) -> list[Approval]:
    """Those bound to exactly what is asked, by id: environment, action, and digest or flag with audience."""
    found = (one for one in question.snapshot.approvals if one.withdrawn_at is None and _is_bound(question, one))
    return sorted(found, key=lambda one: one.id)


def _is_bound(question: Question, one: Approval) -> bool:
    request = question.request
    if one.action != request.action or one.environment != request.environment:
        return False
    if request.action != "release":
        return one.digest is not None and question.is_subject(one.digest)
    if one.flag not in question.flags:
        return False
    # Who says no to a part has said no to the whole, and who says yes to the whole has said yes to each part.
    is_about = takes_in(one.audience, request.audience)
    if one.verdict == "reject":
        is_about = is_about or takes_in(request.audience, one.audience)
    if not is_about:
        return False
    return one.digest is None or question.is_subject(one.digest)


def ballot_of(question: Question, rule: ApprovalRule) -> Ballot:
    """Of several approvals of one person the one that lasts longest counts, which is the latest."""
    held: Ballot | None = question.ballots.get(rule.id)
    if held is None:
        held = question.ballots[rule.id] = _ballot(question, rule)
    return held


def _ballot(question: Question, rule: ApprovalRule) -> Ballot:
    people = question.index.people
    given = [one for one in approvals_for(question) if one.verdict == "approve" and rule.role in one.roles]
    makers = _makers(question, rule) if given else frozenset()
    valid: dict[str, Approval] = {}
    refused: dict[str, set[str]] = {"dependent": set(), "expired": set(), "inactive": set()}
    for one in sorted(given, key=lambda one: (one.at, one.id)):
        person = people.person_of(one.person, one.on_behalf_of)
        if person in makers:
            refused["dependent"].add(person)
        elif not people.is_active(person):
            refused["inactive"].add(person)
        elif rule.ttl is not None and question.now >= one.at + rule.ttl:
            refused["expired"].add(person)
        else:
            valid[person] = one
    expiries = () if rule.ttl is None else tuple(one.at + rule.ttl for one in valid.values())
    return Ballot(
        dict(sorted(valid.items())),
        tuple(sorted(refused["dependent"])),
        tuple(sorted(refused["expired"] - valid.keys())),
        tuple(sorted(refused["inactive"])),
        earliest(*expiries),
    )


def _makers(question: Question, rule: ApprovalRule) -> frozenset[str]:
    """The persons who may not approve. Who triggered the build or produced evidence for it is among its authors."""
    people = question.index.people
    makers: frozenset[str] = frozenset()
    if "author" in rule.distinct_from:
        authors = chain.from_iterable(commit.authors for commit in question.new_commits())
        makers |= people.persons(chain(authors, (build.triggered_by for build in question.builds)))
    if "author" in rule.distinct_from or "evidence_producer" in rule.distinct_from:
        makers |= people.persons(_producers(question))
    if "requester" in rule.distinct_from:
        makers |= people.persons([question.request.requester])
    return makers


def _producers(question: Question) -> set[str]:
    commits = {question.index.linked_commit(build) for build in question.builds}
    digests = {digest for build in question.builds for digest in build.digests}
    return {
        one.producer
        for one in question.snapshot.evidence
        if one.revoked_at is None
        and (one.subject.commit in commits if one.subject.digest is None else one.subject.digest in digests)
    }


def counted_for(question: Question, rule: ApprovalRule) -> tuple[str, ...]:
    """The persons who count for the rule, at most as many as it needs."""
    if rule.reuse_person:
        return tuple(ballot_of(question, rule).valid)[: rule.count]
    if question.assigned is None:
        question.assigned = _assigned(question)
    return question.assigned.get(rule.id, ())


def next_change(question: Question, ballot: Ballot) -> Instant | None:
    """When by time alone somebody may stop to count, or another rule may begin to claim them."""
    moments = [ballot.next_expiry]
    for rule in _sharing(question):
        moments.append(ballot_of(question, rule).next_expiry)
        begins = question.policy.effective_from.get(rule.id, question.now)
        moments.append(begins if begins > question.now else None)
        waiver = waiver_for(question, rule)
        moments.append(waiver.until if waiver else None)
    return earliest(*moments)


def _sharing(question: Question) -> list[ApprovalRule]:
    """The approval rules that may not count a person twice; those that can block come first."""
    document, request = question.policy.document, question.request
    rules = [
        rule
        for rule in document.rules
        if isinstance(rule, ApprovalRule)
        and not rule.reuse_person
        and applies(rule, document, request.action, request.environment, question.snapshot.mode)
    ]
    return sorted(rules, key=lambda rule: (_cannot_block(question, rule), rule.id)) if len(rules) > 1 else rules


def _cannot_block(question: Question, rule: ApprovalRule) -> bool:
    begins = question.policy.effective_from.get(rule.id, question.now)
    return begins > question.now or waiver_for(question, rule) is not None


def _assigned(question: Question) -> dict[str, tuple[str, ...]]:
    """As many as possible of what the rules need is filled, the first rules first, each person once.

    A maximum matching by augmenting paths: who was found for an earlier place may change, but the place stays filled.
    """
    places = [(rule.id, rule, number) for rule in _sharing(question) for number in range(rule.count)]
    wanted = {rule.id: tuple(ballot_of(question, rule).valid) for _, rule, _ in places}
    holder: dict[str, int] = {}

    def fill(place: int, tried: set[str]) -> bool:
        for person in wanted[places[place][0]]:
            if person in tried:
                continue
            tried.add(person)
            if person not in holder or fill(holder[person], tried):
                holder[person] = place
                return True
        return False

    for place in range(len(places)):
        fill(place, set())
    found: dict[str, list[str]] = {}
    for person, place in sorted(holder.items()):
        found.setdefault(places[place][0], []).append(person)
    return {rule: tuple(persons) for rule, persons in found.items()}
