"""Statsig's older SDK, all Python, on bootstrap values; exposures are not logged, which they are by default."""

import json
from typing import Any

from statsig import StatsigOptions, StatsigUser
from statsig.statsig_server import StatsigServer
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.adapters.statsig_flags import gates_and_configs, statsig_reads
from tests.bench.peers.peer import Peer, Read


class Adapter(Peer):
    packages = ("statsig",)

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        gates, configs = gates_and_configs()
        document = {
            "feature_gates": gates,
            "dynamic_configs": configs,
            "layer_configs": [],
            "layers": {},
            "has_updates": True,
            "time": 1_700_000_000_000,
        }
        options = StatsigOptions(
            bootstrap_values=json.dumps(document),
            local_mode=True,
            disable_diagnostics=True,
            disable_country_lookup=True,
            disable_ua_parser=True,
            disable_all_logging=True,
            rulesets_sync_interval=3600,
            idlists_sync_interval=3600,
        )
        self._statsig = statsig = StatsigServer()
        statsig.initialize("secret-key", options)
        users, asking = [_user(one) for one in people], [_user(one) for one in probes]
        reads = statsig_reads(statsig.check_gate, statsig.get_config, ", False", users, asking)
        names = {"config": statsig.get_config}
        reads["W2"] = Read(f"config(c, {KEYS['W2']!r}, False).get('variant', 'v0')", names, users, asking)
        return reads

    def close(self) -> None:
        self._statsig.shutdown()


def _user(who: Json) -> Any:
    return StatsigUser(
        who["targetingKey"],
        email=who["email"],
        country=who["country"],
        app_version=who["appVersion"],
        custom={"plan": who["plan"], "age": who["age"]},
    )
