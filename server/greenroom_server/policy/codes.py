"""Every code that a decision may contain: what it means, and what to do next. docs/release-policy.md has this table."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Code(NamedTuple):
    meaning: str
    remedy: str


CODES: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "ok": Code("The rule is met.", "Nothing."),
        "approval.expired": Code("An approval is as old as the rule allows.", "Approve again."),
        "approval.inactive": Code("The account of who approved is not active any more.", "Let somebody else approve."),
        "approval.missing": Code("Fewer persons with the role approved than needed.", "Ask them to approve."),
        "approval.not_independent": Code(
            "Who approved took part in making or asking for it.", "Let somebody approve who did not."
        ),
        "approval.rejected": Code("Somebody rejected it.", "Settle it with them; only they can withdraw that."),
        "approval.shared": Code(
            "Who approved counts for another rule already.", "Let another person approve for this rule."
        ),
        "breakglass.review_overdue": Code(
            "A break-glass was not reviewed in time, so nothing goes the normal way.", "Review it."
        ),
        "busy": Code("As many deployments are under way as the environment takes.", "Wait for one to end."),
        "button.manual": Code(
            "The last deployment of the build needed a person's hand.", "Automate it, then rehearse."
        ),
        "button.slow": Code("The last deployment of the build took too long.", "Make it quicker, then rehearse."),
        "calendar.closed": Code("No allow window is open, or it closes too soon.", "Wait until it opens."),
        "calendar.frozen": Code("A freeze is on, or begins too soon.", "Wait until it ends."),
        "demo.missing": Code("The story was not demonstrated, or not since it was reopened.", "Demonstrate it."),
        "demo.not_accepted": Code("Nobody with one of the roles accepted the demonstration.", "Ask them to accept."),
        "demo.not_production_like": Code(
            "It was demonstrated from an environment that is not like production.",
            "Demonstrate it from one that is, or from an idle production slot.",
        ),
        "demo.wrong_build": Code(
            "The environment ran another build at that moment, or work on the story came later.",
            "Demonstrate it again.",
        ),
        "digest.ambiguous": Code(
            "Several builds claim the digest, or are of the commit.", "Name the digest, or correct the builds."
        ),
        "digest.unknown": Code("No registered build has the digest.", "Register the build."),
        "done.uncovered": Code(
            "No rule for a release is about this condition, so no story can be done.", "Add a rule with the condition."
        ),
        "evidence.attempts": Code("It passed only after more attempts than allowed.", "Make the check reliable."),
        "evidence.cancelled": Code("The last run was cancelled.", "Run it again."),
        "evidence.definition": Code("Another suite ran than the policy declares.", "Run the declared suite."),
        "evidence.empty": Code("Not one test ran.", "Run the tests: an empty report is no green one."),
        "evidence.failed": Code("The last run failed.", "Repair it and run it again."),
        "evidence.missing": Code("There is no such evidence for this build.", "Run it and report the result."),
        "evidence.slow": Code("It took longer than allowed.", "Make it quicker and run it again."),
        "evidence.stale": Code("The evidence is as old as the rule allows.", "Run it again."),
        "evidence.uncounted": Code("The report does not say how many tests ran.", "Report it with counts."),
        "evidence.untimed": Code("It is not known how long it took.", "Report it with its start, or its duration."),
        "flag.build_not_live": Code(
            "What is live does not contain the flag's stories as they are now.", "Deploy or switch first."
        ),
        "flag.build_under_way": Code(
            "A build that brings work on the flag's stories is being deployed, or may be.",
            "Wait until it is there, or tell that it failed.",
        ),
        "flag.missing": Code("A flag that should hide a story does not exist here.", "Create it, dark."),
        "flag.not_dark": Code(
            "The story is not done, and its flag serves people outside of the internal segment.", "Make the flag dark."
        ),
        "health.missing": Code("A source of health gave no reading.", "Repair the source."),
        "health.stale": Code("The last reading is as old as the rule allows.", "Repair the source."),
        "health.unhealthy": Code("A source says that the environment is not healthy.", "Repair the environment."),
        "mode.hold": Code("The service is on hold in this environment.", "Set the mode to delivery or deployment."),
        "mode.other": Code("The rule is for another mode and was not asked.", "Nothing."),
        "obstacle.open": Code("Something that stands in the way is known and open.", "Resolve and close it."),
        "order.live_unknown": Code(
            "What is live is of no known build, so nobody can tell which is newer.", "Register that build."
        ),
        "order.not_deployed": Code("An earlier environment never had the build.", "Deploy it there first."),
        "order.older_than_live": Code("A newer build is live.", "Deploy a newer one, or roll back."),
        "parity.drift": Code("The environment differs from production too much.", "Remove the differences."),
        "parity.missing": Code("Nobody compared the environment with production.", "Compare them."),
        "parity.stale": Code("The comparison is as old as the policy allows.", "Compare them again."),
        "policy.none": Code(
            "No policy, or no rule of it, is about this action there; nothing is allowed by absence.",
            "Write a rule for it, and correct the names in the request.",
        ),
        "provenance.branch": Code(
            "It was built from a branch that is not allowed.", "Build it from an allowed branch."
        ),
        "provenance.builder": Code("It was built by a builder that is not trusted.", "Build it with a trusted one."),
        "provenance.commit": Code(
            "It was built from another commit than it is registered with.", "Correct the registration, or build anew."
        ),
        "provenance.missing": Code("Nobody says who built it.", "Report its provenance."),
        "provenance.unverified": Code("No pinned key signed its provenance.", "Report it signed."),
        "rollback.never_live": Code("The build was never live here.", "Deploy it instead."),
        "rollback.not_older": Code("The build is not older than what is live.", "Deploy it instead."),
        "rule.error": Code("The rule could not be evaluated, which counts as a failure.", "Report this to us."),
        "skipped_ratio": Code("More tests were skipped than allowed.", "Run them."),
        "slot.live": Code("The slot has traffic.", "Use the idle slot, or switch first."),
        "slot.none": Code("The environment has no slots, so the rule says nothing.", "Nothing."),
        "slot.not_deployed": Code("The slot does not run the build.", "Deploy it there first."),
        "slot.unknown": Code("The request names no slot of the environment.", "Name one."),
        "soak.ended": Code("The build left the earlier environment too soon.", "Deploy it there again."),
        "soak.incident": Code("An incident is open where the build should prove itself.", "Resolve it."),
        "soak.not_deployed": Code("The build never ran in the earlier environment.", "Deploy it there."),
        "soak.short": Code("The build has not run there for long enough.", "Wait."),
        "story.missing": Code("No story names the flag, so nothing can be shown of it.", "Link the story to the flag."),
        "story.no_flag": Code("The story is not done and no flag hides it.", "Finish it, or hide it behind a flag."),
        "story.none": Code("The build brings no story, so the rule says nothing.", "Nothing."),
        "story.not_in_build": Code("The build lacks the latest work on the story.", "Use a build that contains it."),
        "veto": Code("A person forbids it.", "Settle it with them; only they can withdraw that."),
    }
)
