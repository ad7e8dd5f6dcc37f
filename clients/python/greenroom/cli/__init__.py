"""The command line `greenroom` (extra `cli`): a client of the public HTTP API like any other.

How a group of commands plugs in. One module for each noun, `cli/things.py`, with a `group`; `app.py` lists it.

    group = typer.Typer(help="Look after things.", no_args_is_help=True)

    @command(group, "list", needs=Needs.PROJECT)
    def list_things(session: Session, limit: Limit = None) -> None:
        "List the things."
        page = session.api.pages(session.project_path("things"), limit=limit)
        rows = [[one["key"], one["name"]] for one in page["items"]]
        session.screen.result(page, table(["key", "name"], rows), keys=[one["key"] for one in page["items"]])

- `command.py` turns a function into a command: the session comes first, then typer's own parameters; the common options
  (`--profile`, `--project`, `--json`, …) are added by what the command `needs`, and errors become exit codes.
- `session.py` gives `session.api` (`get`, `pages`, `create`, `ask`, `change`: bodies in, bodies out), paths
  (`project_path`, `environment_path`), `session.whoami` and `session.screen`.
- `screen.result(body, shown, keys=…)` is what a command ends with: the API's body for `--json`, a table or sentences
  for people, keys for `--quiet`. What else is to be told goes through `screen.say` and `screen.warn`.
- `asking.carry_out` shows a change before it is made, and asks where it must.
- `errors.py` has the exit codes. A command that decides something raises `typer.Exit` with its own, from 10 on.
- Every command has a docstring, which is its help, and stands in `docs/cli.md`; a test looks after both.
"""
