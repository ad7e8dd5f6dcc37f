"""Alembic's entry: runs the migrations on the connection that `greenroom_server.database.migrate` opened."""

import pkgutil
from importlib import import_module
from importlib.util import find_spec

from alembic import context
from sqlmodel import SQLModel

import greenroom_server

for area in pkgutil.iter_modules(greenroom_server.__path__, "greenroom_server."):
    if area.ispkg and find_spec(f"{area.name}.tables") is not None:
        import_module(f"{area.name}.tables")

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
