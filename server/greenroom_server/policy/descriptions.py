"""What each member of a policy document means, for the JSON Schema that editors show."""

from collections.abc import Mapping
from typing import Final

_RULE: Final[Mapping[str, str]] = {
    "id": "Names the rule in decisions and waivers; unique in the document.",
    "kind": "What the rule looks at.",
    "condition": "Which part of done the rule shows: C1 the entire suite ran, C2 it was demonstrated, C3 nothing "
    "stands in the way of deploying. A production policy must show all three before a release.",
    "actions": "What the rule is asked about. `rollback` is touched only by rules that name it; `darken` never is.",
    "environments": "Where the rule applies; without it, in all environments of tier production.",
    "modes": "In which modes of the service the rule applies; without it, in all.",
    "waivable": "Whether a waiver can let something through in spite of the rule.",
    "effective_from": "Local time before which the rule only warns.",
}
_RULES: Final[Mapping[str, Mapping[str, str]]] = {
    "SuitesRule": {
        "": "The declared suites passed against the build.",
        "require": "`all` of the declared suites, or those that are listed.",
        "max_attempts": "The highest attempt at which a run may have passed.",
        "max_skipped_percent": "How many of a suite's tests may have been skipped, in percent.",
    },
    "EvidenceRule": {
        "": "Evidence of some kinds is there, green and fresh. `deploy.rehearsal` comes from the last deployment of "
        "the build: without a manual step, and quick enough.",
        "evidence": "One kind of evidence; write either this or `all_of`.",
        "all_of": "Several kinds of evidence, all of which are needed.",
        "max_age": "How long the evidence stays fresh after it was finished.",
        "max_duration": "How long what it is about may have taken.",
    },
    "DemoRule": {
        "": "The stories were demonstrated in a production-like environment that ran them, and accepted.",
        "roles": "One of these roles must have accepted.",
    },
    "ParityRule": {
        "": "The environments that stand for another one do not differ from it.",
        "of": "The environment that they stand for; without it, the one that is asked about.",
    },
    "ObstaclesRule": {
        "": "No obstacle is open and nobody vetoed.",
        "ignore": "Kinds of obstacles that are not in the way.",
    },
    "ProvenanceRule": {
        "": "The build comes from where it should.",
        "builders": "Who may have built it.",
        "branches": "The branches it may come from; without it, any.",
        "verified": "Whether a pinned key must have signed who built it.",
    },
    "OrderRule": {
        "": "The build was deployed in every environment that comes before.",
        "forbid_older_than_live": "Whether a build may not go where a newer one is live.",
    },
    "SoakRule": {
        "": "The build has run in an environment before, for some time.",
        "in": "The environment in which it must have run.",
        "for": "For how long, in one go; elapsed time, not calendar days.",
        "reset_on": "What makes the time start anew.",
    },
    "CalendarRule": {
        "": "The moment is inside one of the allow calendars that are used, and outside all freezes.",
        "use": "Names of calendars. Freeze beats allow; one open allow calendar is enough.",
        "runway": "For how long it must stay open from then on.",
    },
    "ApprovalRule": {
        "": "People with a role approved, and none rejected.",
        "role": "The role that they need.",
        "count": "How many different people.",
        "ttl": "For how long an approval counts.",
        "distinct_from": "Who does not count: authors of the new commits, who asks, who produced the evidence.",
        "reuse_person": "Whether a person may also count for another rule.",
    },
    "FlagsDarkRule": {
        "": "Each story that comes along and is not done hangs on a flag that is dark in the environment.",
        "unfinished_stories": "What is demanded of them.",
        "missing_flag": "What becomes of a story whose flag does not exist.",
    },
    "FlagLiveRule": {
        "": "The stories of the flag are in what is live.",
        "build_live_in": "Where: `target`, the environment asked about, or the name of another one.",
        "every_live_slot": "Whether in all slots that are live, or in any.",
    },
    "SlotRule": {
        "": "What the slot does that is asked about.",
        "must_be": "`idle`: it has no traffic. `deployed`: it runs the build.",
    },
    "ConcurrencyRule": {
        "": "Not too many permits are open for the environment.",
        "max": "How many; without it, the environment's `concurrency`.",
    },
    "VetoRule": {"": "Nobody vetoed the build, the service or the environment."},
    "HealthRule": {
        "": "The environment is healthy.",
        "sources": "All of these say so.",
        "max_age": "For how long what they said counts.",
    },
}
_OTHERS: Final[Mapping[str, Mapping[str, str]]] = {
    "PolicyDocument": {
        "": "When a build may be deployed and a flag released, and what has to be shown for it.",
        "schema": "The version of this format.",
        "name": "Names the policy; stays the same from version to version.",
        "time_zone": "The IANA name of the zone of all local times in the document.",
        "environments": "Where builds go, by name.",
        "suites": "The suites that make up the entire suite, by name.",
        "calendars": "When things may happen and when not, by name.",
        "rules": "What must hold. All rules are always asked; their order does not matter.",
        "break_glass": "Who may let something through in an emergency, and how.",
        "tests": "Examples that must be decided as expected before the policy can be activated.",
    },
    "EnvironmentSpec": {
        "": "Where builds run.",
        "order": "Its place among the environments; builds go from low to high.",
        "tier": "Rules are about production unless they name environments.",
        "production_like": "Whether what runs there shows how production behaves. Implied by `parity`.",
        "after": "Environments in which a build must have been before, if a rule of kind `order` asks.",
        "slots": "Places for builds side by side, such as blue and green.",
        "concurrency": "How many permits may be open at the same time.",
        "permits": "With `required`, whatever is deployed without a permit opens an obstacle.",
        "parity": "That it is held like another environment.",
    },
    "ParityDemand": {
        "": "How like another environment it must be.",
        "of": "The environment it stands for.",
        "max_age": "How old the last comparison may be.",
        "max_drift": "How many differences are accepted.",
    },
    "EnvironmentFilter": {
        "": "Some of the environments; all that is given must fit.",
        "production_like": "Whether they are production-like.",
        "tier": "Their tier.",
        "keys": "Their names.",
    },
    "SuiteSpec": {
        "": "A suite of tests.",
        "kind": "The kind of its evidence, such as `test.unit`.",
        "bind": "What a run is about: the artifact, or only the commit that it is built from.",
        "environment": "Where it must have run; without it, anywhere.",
        "max_age": "How long a run counts; without it, for ever.",
        "definition": "The digest of the suite's definition, if only that one counts.",
    },
    "CalendarSpec": {
        "": "Weekly windows, or one stretch of time. In a gap of the clock boundaries map to the jump; in an hour that "
        "comes twice a freeze is rounded outward and an allow window inward.",
        "type": "`allow`: open inside, closed outside. `freeze`: closed inside.",
        "weekly": "Windows that recur every week. Without hours whole days; without days every day; over midnight "
        "where the end comes before the start.",
        "from": "Local time at which the one stretch starts.",
        "to": "Local time at which it ends.",
    },
    "BreakGlassSpec": {
        "": "The way through in an emergency, which is reviewed afterwards. Only for a while, and once.",
        "roles": "Roles whose people may break the glass.",
        "confirm_by": "How many different people must confirm.",
        "max_ttl": "For how long it stays broken; at most 4h.",
        "review_within": "Until when it must have been reviewed.",
        "never": "Rules that hold all the same.",
    },
    "PolicyTest": {
        "": "An example, and how it must be decided.",
        "name": "What the example shows.",
        "fixture": "The facts it starts from, by name, such as `green-build`.",
        "at": "The moment: with an offset, or local to the zone of the policy.",
        "action": "What is asked.",
        "to": "The environment that is asked about.",
        "expect": "What must be decided.",
        "because": "A code that one of the rules which hold it up must give.",
        "mode": "The mode of the service.",
        "facts": "What is different from the fixture.",
    },
    "TestFacts": {
        "": "How the facts of a test differ from its fixture.",
        "evidence": "By suite, or by kind where evidence is of no suite.",
        "approvals": "By role.",
        "deployments": "Of the new build, by environment.",
        "scheduled_for": "A later moment that the request asks about too.",
    },
    "EvidenceFacts": {
        "": "What is different about evidence.",
        "outcome": "How it ended.",
        "age": "How long before the moment it was finished.",
        "total": "How many tests there were.",
        "skipped": "How many of them were skipped.",
        "attempt": "Which attempt it was.",
        "is_missing": "That there is none.",
    },
    "ApprovalFacts": {
        "": "What is different about approvals.",
        "age": "How long before the moment they were given.",
        "person": "Who gave them.",
        "verdict": "What they say.",
        "is_missing": "That there is none.",
    },
    "DeploymentFacts": {
        "": "What is different about deployments of the new build.",
        "age": "How long before the moment it was deployed.",
        "duration": "How long that took.",
        "manual_steps": "How many steps people did by hand.",
        "is_missing": "That it was not deployed there.",
    },
}
# model -> member -> its meaning; "" is of the model itself
DESCRIPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    **_OTHERS,
    **{name: {**_RULE, **members} for name, members in _RULES.items()},
}
