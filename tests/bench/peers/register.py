"""One adapter for each SDK; none is imported before it is asked for, since each lives in an environment of its own."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final

from tests.bench.peers.peer import Peer


def _of(module: str, name: str = "Adapter") -> Callable[[], Peer]:
    def make() -> Peer:
        made: Peer = getattr(import_module(f"tests.bench.peers.adapters.{module}"), name)()
        return made

    return make


# What the table calls it, and where it is.
ADAPTERS: Final[Mapping[str, Callable[[], Peer]]] = {
    "Greenroom": _of("greenroom_sdk"),
    "Greenroom, details": _of("greenroom_sdk", "Details"),
    "ConfigCat": _of("configcat"),
    "DevCycle": _of("devcycle"),
    "Eppo": _of("eppo"),
    "fast-feature": _of("fast_feature"),
    "flagd": _of("flagd"),
    "Flagsmith": _of("flagsmith"),
    "Flipt": _of("flipt"),
    "GO Feature Flag": _of("go_feature_flag"),
    "GrowthBook": _of("growthbook_sdk"),
    "GrowthBook, core": _of("growthbook_sdk", "Core"),
    "LaunchDarkly, no events": _of("launchdarkly"),
    "LaunchDarkly, events": _of("launchdarkly", "Events"),
    "Statsig": _of("statsig_core"),
    "Statsig, Python": _of("statsig_python"),
    "Unleash 6": _of("unleash"),
    "Unleash 6, engine": _of("unleash_engine"),
    "Unleash 5": _of("unleash", "Version5"),
}
