"""The state machine with a clock and chances of the test's own: no I/O, no waiting."""

from typing import Any

from tests.unit.sdk.documents import Json, seal, snapshot

from greenroom.held import Held
from greenroom.steps import Answer, Fetch, Open, Read, Step, Swap, Wait
from greenroom.updates import Updates

EVENT_STREAM = "text/event-stream; charset=utf-8"
DAY_S = 86_400.0


class Rig:
    """Time moves only by `pass_time` and by the waits that are asked for."""

    def __init__(self, held: Held | None = None, *, chance: float = 1.0, **options: Any) -> None:
        self.now = 1000.0
        self.chance = chance
        self.updates = Updates(held, lambda: self.chance, **options)
        self.news: list[Any] = []

    @property
    def values(self) -> dict[str, Any]:
        """What the flags are now, through the documents."""
        held = self.updates.held
        if held is None:
            return {}
        return {key: flag["variants"][flag["off_variant"]] for key, flag in held.document["flags"].items()}

    @property
    def state(self) -> str:
        return self.updates.health.state

    @property
    def swaps(self) -> list[Swap]:
        return [item for item in self.news if isinstance(item, Swap)]

    def step(self) -> Step:
        """The next step; a wait is not sat through."""
        step = self.updates.next_step(self.now)
        self.news += self.updates.take_news()
        return step

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def wait(self) -> float:
        """Sit through the wait that must come next, if one comes; how long it was."""
        step = self.step()
        if not isinstance(step, Wait):
            return 0.0
        self.pass_time(step.seconds)
        return step.seconds

    def attempt(self) -> Fetch | Open:
        """The next fetch or attempt to open the stream, after the wait for it."""
        self.wait()
        step = self.step()
        assert isinstance(step, Fetch | Open), step
        return step

    def answer(self, status: int = 200, document: Json | bytes | None = None, retry_after_s: float = 0.0) -> None:
        """Answer the fetch."""
        body = document if isinstance(document, bytes) else b"" if document is None else seal(document)
        self.updates.fetched(Answer(status, "application/json", retry_after_s, body), self.now)
        self.news += self.updates.take_news()

    def open(self, status: int = 200, content_type: str = EVENT_STREAM, retry_after_s: float = 0.0) -> None:
        """Answer the attempt to open the stream."""
        self.updates.opened(Answer(status, content_type, retry_after_s), self.now)
        self.news += self.updates.take_news()

    def receive(self, data: bytes) -> None:
        self.updates.received(data, self.now)
        self.news += self.updates.take_news()

    def fail(self, cause: str = "connection refused", *, is_connected: bool = True) -> None:
        self.updates.failed(cause, self.now, is_connected=is_connected)
        self.news += self.updates.take_news()

    def fail_attempt(self, status: int = 0, retry_after_s: float = 0.0) -> float:
        """Let the next attempt fail, with a status or without an answer; how long was waited for it."""
        waited = self.wait()
        step = self.step()
        if status == 0:
            self.fail()
        elif isinstance(step, Fetch):
            self.answer(status, retry_after_s=retry_after_s)
        else:
            assert isinstance(step, Open), step
            self.open(status, "application/problem+json", retry_after_s)
        return waited


def streaming(**options: Any) -> Rig:
    """A rig that holds revision 1 (`a` is False) and reads the stream."""
    rig = Rig(**options)
    assert isinstance(rig.attempt(), Fetch)
    rig.answer(200, snapshot(1, a=False))
    assert isinstance(rig.attempt(), Open)
    rig.open()
    assert isinstance(rig.step(), Read)
    return rig


def polling(**options: Any) -> Rig:
    """A rig that holds revision 1 and whose stream failed three times: a poll comes next."""
    rig = Rig(**options)
    rig.attempt()
    rig.answer(200, snapshot(1, a=False))
    for _ in range(3):
        assert isinstance(rig.attempt(), Open)
        rig.fail()
    assert isinstance(rig.attempt(), Fetch)
    return rig
