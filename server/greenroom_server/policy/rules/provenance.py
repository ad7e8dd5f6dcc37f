"""Where the artifact comes from: built by a builder that is trusted, from a branch that is allowed."""

from typing import Final

from greenroom_server.policy.decision import Finding
from greenroom_server.policy.document import ProvenanceRule
from greenroom_server.policy.facts import Build, Provenance
from greenroom_server.policy.findings import BLOCKING, failed, passed, pending, worst
from greenroom_server.policy.question import Question
from greenroom_server.policy.rules.subject import without_build

_NEARNESS: Final = ("provenance.builder", "provenance.commit", "provenance.branch", "provenance.unverified")


def provenance(question: Question, rule: ProvenanceRule) -> Finding:
    """One record of a build that fits in everything is enough; a signed one, where the rule asks for that."""
    return without_build(question) or worst(_build(question, rule, build) for build in question.builds)


def _build(question: Question, rule: ProvenanceRule, build: Build) -> Finding:
    records = [one for one in question.snapshot.provenances if one.digest in build.digests]
    findings = [_record(rule, build, one) for one in sorted(records, key=lambda one: one.id)]
    for finding in findings:
        if finding.outcome not in BLOCKING:
            return finding
    if findings:
        return max(findings, key=lambda finding: _NEARNESS.index(finding.code))
    params = {"digest": build.digests[0]}
    steps = ({"do": "supply", "kind": "provenance", **params},)
    return pending("provenance.missing", f"nobody says who built `{build.id}`", params=params, next=steps)


def _record(rule: ProvenanceRule, build: Build, one: Provenance) -> Finding:
    params = {"digest": one.digest, "provenance": one.id}
    if one.builder not in rule.builders:
        text = f"the builder `{one.builder}` is not among those that are trusted"
        return failed("provenance.builder", text, params=params, evidence=(one.id,))
    if one.commit is not None and one.commit != build.commit:
        text = f"it was built from the commit `{one.commit}` and registered with `{build.commit}`"
        return failed("provenance.commit", text, params=params, evidence=(one.id,))
    if rule.branches is not None and one.branch not in rule.branches:
        text = f"the branch `{one.branch}` is not among those that are allowed"
        return failed("provenance.branch", text, params=params, evidence=(one.id,))
    if rule.verified and not one.is_verified:
        steps = ({"do": "supply", "kind": "provenance", "digest": one.digest, "signed": True},)
        text = "no pinned key signed who built it"
        return pending("provenance.unverified", text, params=params, evidence=(one.id,), next=steps)
    return passed((one.id,))
