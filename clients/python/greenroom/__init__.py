"""Greenroom's Python SDK: feature flags, evaluated in memory. `docs/sdk-python.md` says how to use it.

What is named here is loaded when it is first used, so that the engine alone stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.aio import AsyncClient
    from greenroom.client import Client
    from greenroom.endpoints import Transport
    from greenroom.errors import ConfigurationError, GreenroomError
    from greenroom.evaluation import Evaluation
    from greenroom.options import ExposureOptions, Options
    from greenroom.overrides import OverridePlaces
    from greenroom.rows import hidden_key
    from greenroom.sinks import ExposureSink
    from greenroom.sources import Source, StaticSource
    from greenroom.status import Status

_HOMES = {
    "AsyncClient": "aio",
    "Client": "client",
    "ConfigurationError": "errors",
    "Evaluation": "evaluation",
    "ExposureOptions": "options",
    "ExposureSink": "sinks",
    "GreenroomError": "errors",
    "Options": "options",
    "OverridePlaces": "overrides",
    "Source": "sources",
    "StaticSource": "sources",
    "Status": "status",
    "Transport": "endpoints",
    "hidden_key": "rows",
}

__all__ = [
    "AsyncClient",
    "Client",
    "ConfigurationError",
    "Evaluation",
    "ExposureOptions",
    "ExposureSink",
    "GreenroomError",
    "Options",
    "OverridePlaces",
    "Source",
    "StaticSource",
    "Status",
    "Transport",
    "hidden_key",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `greenroom` has no `{name}`")
    return getattr(import_module(f"greenroom.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
