"""What rules look at: a snapshot that was indexed once, the request, the policy, and a moment."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

from greenroom_server.policy.applicability import is_about
from greenroom_server.policy.canonical import canonical_bytes
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.current import Current, builds_by_digest, current_evidence, linked_commit
from greenroom_server.policy.decision import RuleResult
from greenroom_server.policy.document import EnvironmentSpec, Rule
from greenroom_server.policy.facts import (
    Build,
    Commit,
    Deployment,
    FlagState,
    Instant,
    Request,
    Scope,
    Snapshot,
    Story,
)
from greenroom_server.policy.people import People
from greenroom_server.policy.stored import write_snapshot

Judge: TypeAlias = Callable[["Question", Rule], RuleResult]
Check: TypeAlias = Callable[["Question"], RuleResult]


class Index:
    """The facts of a snapshot by what they are looked up with, each found out when first asked for and then kept.

    Nothing in it depends on the moment, the request or the policy: one serves every question on the same facts.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._commits: dict[str, frozenset[str]] = {}
        self._stories: dict[str, frozenset[str]] = {}

    @cached_property
    def written(self) -> bytes:
        """The snapshot's canonical bytes. Raises on facts that cannot be written down."""
        return canonical_bytes(write_snapshot(self.snapshot))

    @cached_property
    def builds(self) -> dict[str, Build | None]:
        """By digest; None for a digest that several builds claim."""
        return builds_by_digest(one for one in self.snapshot.builds if one.service == self.snapshot.service)

    @cached_property
    def people(self) -> People:
        return People(self.snapshot.aliases, self.snapshot.inactive_people)

    @cached_property
    def current(self) -> Current:
        return current_evidence(self.snapshot.evidence, self.builds)

    @cached_property
    def stories(self) -> dict[str, Story]:
        return {story.key: story for story in self.snapshot.stories}

    @cached_property
    def flags(self) -> dict[tuple[str, str], FlagState]:
        return {(flag.key, flag.environment): flag for flag in self.snapshot.flags}

    @cached_property
    def deployments(self) -> dict[str, list[Deployment]]:
        """By environment, in the order in which they happened; those of this service that did not fail."""
        found: dict[str, list[Deployment]] = {}
        for one in sorted(self.snapshot.deployments, key=lambda one: (one.deployed_at, one.seq, one.id)):
            if one.service == self.snapshot.service and not one.has_failed:
                found.setdefault(one.environment, []).append(one)
        return found

    def live(self, environment: str) -> list[Deployment]:
        """What has traffic now, in all slots and regions."""
        return [one for one in self.deployments.get(environment, ()) if is_live(one)]

    def build_of(self, digest: str) -> Build | None:
        return self.builds.get(digest)

    def story(self, key: str) -> Story:
        """A story that is unknown has no flags and no known commit."""
        return self.stories.get(key) or Story(key)

    def linked_commit(self, build: Build) -> str | None:
        return linked_commit(build, self.snapshot.provenances)

    def commits_of(self, build: Build) -> frozenset[str]:
        """The ids of all commits in it."""
        held = self._commits.get(build.id)
        if held is None:
            held = self._commits[build.id] = frozenset([build.commit, *(commit.id for commit in build.commits)])
        return held

    def stories_of(self, build: Build) -> frozenset[str]:
        """The keys of all stories that it contains code of."""
        held = self._stories.get(build.id)
        if held is None:
            worked_on = (key for commit in build.commits for key in commit.stories)
            held = self._stories[build.id] = frozenset([*build.stories, *worked_on])
        return held

    def has_latest(self, build: Build, story: Story) -> bool:
        """Whether the build contains the story as it is now."""
        if story.latest_commit is None:
            return story.key in self.stories_of(build)
        return story.latest_commit in self.commits_of(build)


def is_live(deployment: Deployment) -> bool:
    return deployment.live_from is not None and deployment.live_to is None and deployment.removed_at is None


def runs(deployment: Deployment) -> bool:
    return deployment.removed_at is None


@dataclass(slots=True)
class Question:
    """One question at one moment.

    `builds` are what it is about: the build to deploy, or for a release all those that are live. `stories` are those
    that a deployment brings, or that a released flag hides. `judge` evaluates a rule as the decision does. `assigned`
    and `ballots` remember which approvals count for which rule at this moment.
    """

    index: Index
    request: Request
    policy: Policy
    now: Instant
    judge: Judge
    builds: tuple[Build, ...] = ()
    stories: tuple[Story, ...] = ()
    flags: tuple[str, ...] = ()
    assigned: dict[str, tuple[str, ...]] | None = None
    ballots: dict[str, Any] = field(default_factory=dict)

    @property
    def snapshot(self) -> Snapshot:
        return self.index.snapshot

    @property
    def environment(self) -> EnvironmentSpec:
        return self.policy.document.environments[self.request.environment]

    def at(self, moment: Instant) -> "Question":
        """The same question at another moment."""
        return replace(self, now=moment, assigned=None, ballots={})

    def covers(self, scope: Scope) -> bool:
        """Whether something with this scope concerns what is asked."""
        if scope.service is not None and scope.service != self.snapshot.service:
            return False
        if scope.environment is not None and scope.environment != self.request.environment:
            return False
        return scope.digest is None or any(scope.digest in build.digests for build in self.builds)

    def is_ruled_by(self, rule: Rule) -> bool:
        """Whether the rule is about this action in this environment, in whatever mode."""
        request, document = self.request, self.policy.document
        return request.action in rule.actions and is_about(rule, document, request.environment)

    def is_subject(self, digest: str) -> bool:
        return any(digest in build.digests for build in self.builds)

    def new_commits(self) -> list[Commit]:
        """The commits that the builds bring to what is live; for a release those that work on its stories."""
        if self.request.action == "release":
            keys = {story.key for story in self.stories}
            own = [commit for build in self.builds for commit in build.commits]
            return [commit for commit in own if keys.intersection(commit.stories)] if keys else own
        known = commits_live_everywhere(self.index, self.request.environment)
        return [commit for build in self.builds for commit in build.commits if commit.id not in known]


def commits_live_everywhere(index: Index, environment: str) -> frozenset[str]:
    """The commits in each build that is live; none of them if nothing is live, or a build that nobody knows."""
    live = [index.build_of(one.digest) for one in index.live(environment)]
    if not live or None in live:
        return frozenset()
    return frozenset.intersection(*(index.commits_of(build) for build in live if build is not None))


def stories_live_everywhere(index: Index, environment: str) -> frozenset[str]:
    """The keys of the stories in each build that is live, as `commits_live_everywhere`."""
    live = [index.build_of(one.digest) for one in index.live(environment)]
    if not live or None in live:
        return frozenset()
    return frozenset.intersection(*(index.stories_of(build) for build in live if build is not None))
