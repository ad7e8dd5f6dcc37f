"""Applications that never stop evaluating while a test breaks something."""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx
from tests.blackbox.authoring import Application

_PAUSE_S = 0.003


@dataclass(frozen=True, slots=True)
class Observation:
    """One request: what came back and how long it took."""

    what: str
    status: int
    text: str
    duration_s: float


class Load:
    """Two threads, one evaluating a flag, the other evaluating all and reading the snapshot, as fast as is polite."""

    def __init__(self, url: str, key: str, flag: str) -> None:
        self._url, self._key, self._flag = url, key, flag
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(names,), daemon=True) for names in (("one",), ("all", "snapshot"))
        ]
        self.observations: list[Observation] = []

    @property
    def failures(self) -> list[Observation]:
        return [one for one in self.observations if one.status != 200]

    def slowest(self, share: float) -> float:
        """The duration that this share of all requests did not exceed."""
        durations = sorted(one.duration_s for one in self.observations)
        return durations[int(len(durations) * share)]

    def wait_for(self, number: int, within_s: float = 20) -> None:
        """Wait until that many more requests were answered, well or badly."""
        wanted, deadline = len(self.observations) + number, time.monotonic() + within_s
        while len(self.observations) < wanted:
            assert time.monotonic() < deadline, f"{len(self.observations)} of {wanted} requests"
            time.sleep(0.005)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(10)

    def _work(self, names: tuple[str, ...]) -> None:
        with Application(self._url, self._key) as app:
            asks: dict[str, Callable[[], httpx.Response]] = {
                "one": lambda: app.evaluate(self._flag),
                "all": app.evaluate_all,
                "snapshot": app.snapshot,
            }
            for name in itertools.cycle(names):
                if self._stopped.wait(_PAUSE_S):
                    return
                begun = time.monotonic()
                try:
                    reply = asks[name]()
                    status, text = reply.status_code, reply.text[:200]
                except httpx.HTTPError as error:
                    status, text = 0, repr(error)
                self.observations.append(Observation(name, status, text, time.monotonic() - begun))
