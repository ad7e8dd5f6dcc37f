"""Statsig's newer SDK (its core is Rust), without network; exposures are not logged, which they are by default."""

import json
import zlib
from typing import Any

from statsig_python_core import DataStore, DataStoreResponse, Statsig, StatsigOptions, StatsigUser
from tests.bench.engine.workload import KEYS, Json
from tests.bench.peers.adapters.statsig_flags import gates_and_configs, statsig_reads
from tests.bench.peers.peer import Peer, Read

LOADED_AT_MS = 1_700_000_000_000


def _store_of(text: str) -> Any:
    class Store(DataStore):  # type: ignore[misc]
        def get(self, key: str) -> Any:
            return DataStoreResponse(result=text, time=LOADED_AT_MS)

        def support_polling_updates_for(self, key: str) -> bool:
            return False

    return Store()


class Adapter(Peer):
    packages = ("statsig_python_core",)

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        options = StatsigOptions(
            disable_network=True,
            data_store=_store_of(json.dumps(_document())),
            disable_all_logging=True,
            disable_country_lookup=True,
            disable_disk_access=True,
            enable_id_lists=False,
            output_log_level="error",
        )
        self._statsig = statsig = Statsig("secret-key", options)
        statsig.initialize().wait()
        users, asking = [_user(one) for one in people], [_user(one) for one in probes]
        reads = statsig_reads(statsig.check_gate, statsig.get_dynamic_config, "", users, asking)
        names = {"config": statsig.get_dynamic_config}
        reads["W2"] = Read(f"config(c, {KEYS['W2']!r}).get_string('variant', 'v0')", names, users, asking)
        return reads

    def close(self) -> None:
        self._statsig.shutdown().wait()


def _document() -> Json:
    conditions: Json = {}

    def normalised(entity: Json) -> Json:
        rules = []
        for rule in entity["rules"]:
            ids = [str(zlib.crc32(json.dumps(one, sort_keys=True).encode())) for one in rule["conditions"]]
            conditions.update(zip(ids, rule["conditions"], strict=True))
            rules.append({**rule, "conditions": ids})
        return {**{name: value for name, value in entity.items() if name != "name"}, "rules": rules}

    gates, configs = gates_and_configs()
    return {
        "feature_gates": {one["name"]: normalised(one) for one in gates},
        "dynamic_configs": {one["name"]: normalised(one) for one in configs},
        "layer_configs": {},
        "condition_map": conditions,
        "has_updates": True,
        "time": LOADED_AT_MS,
        "experiment_to_layer": {},
        "response_format": "dcs-v2",
        "company_id": "c",
    }


def _user(who: Json) -> Any:
    return StatsigUser(
        user_id=who["targetingKey"],
        email=who["email"],
        country=who["country"],
        app_version=who["appVersion"],
        custom={"plan": who["plan"], "age": who["age"]},
    )
