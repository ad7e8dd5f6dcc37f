"""Alembic's entry: runs the migrations on the connection that `greenroom_server.database.migrate` opened."""

import pkgutil
import re
from importlib import import_module
from pathlib import Path

from alembic import context
from sqlmodel import SQLModel

import greenroom_server

for area in pkgutil.iter_modules(greenroom_server.__path__):
    if area.ispkg:
        folder = Path(greenroom_server.__path__[0]) / area.name
        for module in pkgutil.iter_modules([str(folder)], f"greenroom_server.{area.name}."):
            if module.name.rpartition(".")[2].startswith("tables"):
                import_module(module.name)


def _is_ours(name: str | None, kind: str, _: object) -> bool:
    """Everything but the partitions of days, which the server makes by itself."""
    return kind != "table" or re.search(r"_p\d{8}$", name or "") is None


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    include_name=_is_ours,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
