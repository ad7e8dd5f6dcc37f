"""Chronicles written by hand: what happened to the builds of one service, minute by minute."""

from collections.abc import Generator
from typing import Any, Final, TypeVar

from tests.unit.policy.situations import NOW, with_rules

from greenroom_server.policy.chronicle import Chronicle, Member, PastFlag, Version, in_order
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.facts import (
    Approval,
    Build,
    Commit,
    Counts,
    Deployment,
    Environment,
    Evidence,
    Incident,
    Scope,
    Story,
    Subject,
    Veto,
)
from greenroom_server.policy.readiness import Judged, Last, judge_builds
from greenroom_server.policy.replaying import Replayed, replay

T = TypeVar("T")
MINUTE: Final = 60_000
SERVICE: Final = "shop"
TESTED: Final = {"id": "tested", "kind": "suites", "condition": "C1", "require": ["unit"]}
DARK: Final = {"id": "dark", "kind": "flags_dark", "unfinished_stories": "must_be_dark", "missing_flag": "deny"}
SHOWN: Final = {"id": "shown", "kind": "demo", "condition": "C2", "actions": ["release"]}
OPEN: Final = {"id": "open", "kind": "obstacles", "condition": "C3", "actions": ["deploy", "release"]}


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def commit(number: int) -> str:
    return f"{number:040x}"


def wanting(*rules: dict[str, Any], **members: Any) -> Policy:
    """The guide's environments and calendars, with a suite that must pass and these rules."""
    return with_rules(
        {**TESTED, "actions": ["deploy", "release"]}, *rules, suites={"unit": {"kind": "test.unit"}}, **members
    )


class History:
    """What happens, told in its order; each telling has the next number, and its minute after the beginning."""

    def __init__(self, began: int = NOW) -> None:
        self.began = began
        self.versions: list[Version] = []
        self._parents: dict[int, Build] = {}

    def at(self, minute: float) -> int:
        return self.began + round(minute * MINUTE)

    def tell(self, minute: float, member: Member, name: str, fact: Any) -> None:
        self.versions.append(Version(self.at(minute), self.seq + 1, member, name, fact))

    @property
    def seq(self) -> int:
        return max((one.seq for one in self.versions), default=0)

    def built(self, number: int, minute: float, *stories: str) -> None:
        """A build that grew from the one before, if there is one."""
        before = self._parents.get(number - 1)
        own = Commit(commit(number), ("ada@example.com",), stories)
        commits = (*(() if before is None else before.commits), own)
        build = Build(
            f"build-{number}",
            SERVICE,
            (digest(number),),
            commit(number),
            self.seq + 1,
            self.at(minute),
            commits,
            stories,
        )
        self._parents[number] = build
        self.tell(minute, "builds", build.id, build)
        for key in stories:
            self.tell(minute, "stories", key, Story(key, latest_commit=commit(number)))

    def checked(self, number: int, minute: float, outcome: str = "pass", **members: Any) -> None:
        """The unit tests ran."""
        name = f"evidence-{self.seq + 1}"
        counts = Counts(total=3, passed=3) if outcome == "pass" else Counts(total=3, passed=2, failed=1)
        one = Evidence(
            id=name,
            kind="test.unit",
            suite="unit",
            subject=Subject(digest(number)),
            outcome=outcome,  # type: ignore[arg-type]
            finished_at=self.at(minute),
            received_at=self.at(minute),
            seq=self.seq + 1,
            counts=counts,
            **members,
        )
        self.tell(minute, "evidence", name, one)

    def live(self, number: int, minute: float, environment: str = "production", duration: int = 1000) -> None:
        """The build gets the traffic; what had it loses it."""
        for one in [one.fact for one in self.versions if one.member == "deployments"]:
            if one.environment == environment and one.live_to is None and self._newest(one.id) is one:
                ended = Deployment(**{**_members(one), "live_to": self.at(minute), "removed_at": self.at(minute)})
                self.tell(minute, "deployments", one.id, ended)
        name = f"deployment-{self.seq + 1}"
        deployment = Deployment(
            name,
            SERVICE,
            environment,
            digest(number),
            self.at(minute),
            self.seq + 1,
            live_from=self.at(minute),
            duration_ms=duration,
        )
        self.tell(minute, "deployments", name, deployment)

    def rejected(self, number: int, minute: float) -> None:
        name = f"approval-{self.seq + 1}"
        word = Approval(
            name,
            "reject",
            "deploy",
            "production",
            "pat@example.com",
            ("product",),
            self.at(minute),
            self.seq + 1,
            digest(number),
        )
        self.tell(minute, "approvals", name, word)

    def vetoed(self, number: int, minute: float) -> None:
        name = f"veto-{self.seq + 1}"
        veto = Veto(name, Scope(digest=digest(number)), "pat@example.com", self.at(minute), self.seq + 1)
        self.tell(minute, "vetoes", name, veto)

    def burnt(self, minute: float, scope: Scope = Scope(SERVICE, "production"), until: float | None = None) -> None:  # noqa: B008
        name = f"incident-{self.seq + 1}"
        incident = Incident(name, scope, self.at(minute), self.seq + 1)
        self.tell(minute, "incidents", name, incident)
        if until is not None:
            over = Incident(name, scope, self.at(minute), incident.seq, self.at(until))
            self.tell(until, "incidents", name, over)

    def flag(self, minute: float, key: str, is_dark: bool | None, *stories: str) -> None:
        """How a flag stands from then on."""
        self.versions.append(Version(self.at(minute), 0, "flags", key, PastFlag(key, is_dark, stories)))

    def chronicle(self) -> Chronicle:
        environments = (Environment("staging", 10, "staging"), Environment("production", 20, "production"))
        return Chronicle("shop", SERVICE, "production", in_order(self.versions), environments)

    def _newest(self, name: str) -> Any:
        return next(one.fact for one in reversed(self.versions) if one.id == name)


def _members(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in type(one).__dataclass_fields__}


def replayed(history: History, policy: Policy, until: float = 60 * 24 * 30) -> list[Replayed]:
    """What became of all builds of the history by some minute."""
    chronicle = history.chronicle()
    names = sorted({one.id for one in chronicle.versions if one.member == "builds"})
    return finished(replay(chronicle, names, policy, history.at(until)))


def judged(history: History, policy: Policy, until: float = 60 * 24 * 30) -> list[Judged]:
    """The class of each build."""
    return finished(judge_builds(replayed(history, policy, until), Last(history.chronicle())))


def finished(steps: Generator[None, None, T]) -> T:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
