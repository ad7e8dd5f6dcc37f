"""Greenroom's own `Client`, offline on a bootstrap, as an application uses it."""

from typing import Any

from tests.bench.engine.workload import KEYS, Json, snapshot_document
from tests.bench.peers.peer import Peer, Read

from greenroom import Client, Options

METHODS = {"W1": "bool", "W2": "str", "W3": "bool", "W4": "bool", "W5": "object"}


class Adapter(Peer):
    packages = ("greenroom",)
    form = "{}_value"
    suffix = ""
    bulk = "all_values"

    def reads(self, people: list[Json], probes: list[Json]) -> dict[str, Read]:
        client = Client(options=Options(is_offline=True, bootstrap=snapshot_document()))
        reads = {
            workload: Read(
                f"read({key!r}, None, c){self.suffix}",
                {"read": getattr(client, self.form.format(METHODS[workload]))},
                people,
                probes,
            )
            for workload, key in KEYS.items()
        }
        reads["W6"] = Read("read_all(c)", {"read_all": getattr(client, self.bulk)}, people[:10], plain=self.plain)
        return reads

    @staticmethod
    def plain(answer: Any) -> Any:
        return answer


class Details(Adapter):
    """With variant, reason and metadata."""

    form = "{}_details"
    suffix = ".value"
    bulk = "all_details"

    @staticmethod
    def plain(answer: Any) -> Any:
        return {details.flag_key: details.value for details in answer}
