"""Write the schema's next revision: ``python -m palpo.db.migrations.revise "noun: what"``.

A database is made in memory from the revisions that there are and compared with the declared tables;
the difference becomes ``versions/NNNN_noun.py``, to be read, completed where rows have to be changed
too, and committed with the tables. One that has not landed yet is made anew by ``--again NNNN_noun``,
behind whatever has landed meanwhile.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import ops
from sqlalchemy import Connection, create_engine

from palpo.db import full_text
from palpo.db.full_text import FullText
from palpo.db.migrations import VERSIONS, revisions
from palpo.db.migrations.declared import declared_hash
from palpo.db.migrations.rows import INITIAL_ROWS
from palpo.db.migrations.steps import upgrade_from_nothing
from palpo.db.tables import metadata

TEMPLATE = '''"""{message}."""
# ruff: noqa: E501

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from palpo.db.migrations.full_text_steps import create_full_text, drop_full_text

revision = {revision!r}
down_revision = {down_revision!r}
branch_labels = None
depends_on = None
schema = {schema!r}
"""The hash of the tables that it leads to."""
additive = {additive!r}
"""Whether the release before works with them too."""


def upgrade() -> None:
    """From the revision before to this one; may be repeated where it was cut short."""
{body}
'''
Change = dict[str, Any]


class NothingToDo(Exception):
    """What is declared cannot become a revision by itself; the message says why."""


def revise(message: str, directory: Path = VERSIONS) -> Path:
    """Write the next revision to ``directory``; raises NothingToDo."""
    before = revisions()[-1]
    match = re.match(r"([a-z][a-z0-9_]*): \S", message)
    if match is None:
        raise NothingToDo('the message is "noun: what", as in "receipts: threads"')
    name = f"{int(before[:4]) + 1:04}_{match[1]}"
    if _last_schema(before) == declared_hash():
        raise NothingToDo(f"the declared tables are those of {before}")
    path = directory / f"{name}.py"
    source, additive = _body()
    body = "\n".join(f"    {line}".rstrip() for line in source.splitlines())
    path.write_text(
        TEMPLATE.format(
            message=message.rstrip("."),
            revision=name,
            down_revision=before,
            schema=declared_hash(),
            additive=additive,
            body=body,
        ),
        encoding="utf-8",
    )
    # Only once it is formatted shows whether a line is too long.
    for command in (["format", "--quiet"], ["check", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, str(path)], check=True)
    return path


def _last_schema(revision: str) -> str | None:
    schema: str | None = getattr(import_module(f"palpo.db.migrations.versions.{revision}"), "schema", None)
    return schema


def _body() -> tuple[str, bool]:
    """The steps from the tables of the revisions to the declared ones, as source, and if they only add."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        upgrade_from_nothing(connection)
        options = {"include_name": full_text.is_declared, "render_as_batch": True}
        context = MigrationContext.configure(connection, opts=options)
        found = produce_migrations(context, metadata).upgrade_ops
        assert found is not None
        _refuse_without_default(found)
        remade = [index for index in full_text.DECLARED if _is_to_be_made(index, connection, found)]
        dropped = [index for index in remade if index.exists(connection)]
        made = [op for op in found.ops if isinstance(op, ops.CreateTableOp)]
        for op in made:
            op.info.clear()  # How long what is in it is kept is no part of the schema.
    engine.dispose()
    lines = [f"drop_full_text(op.get_bind(), {item.name!r}, {item.table.name!r})" for item in dropped]
    lines += _rendered(found)
    for item in remade:
        statements = {dialect: list(each) for dialect, each in item.statements().items()}
        lines.append(f"create_full_text(op.get_bind(), {item.name!r}, {item.table.name!r}, {statements!r})")
    lines += [_insert(op.table_name) for op in made if op.table_name in INITIAL_ROWS]
    if not lines:
        return "# Nothing that SQLite can see: write it by hand.\npass", False
    return "\n".join(lines), not dropped and all(map(_adds, _flat(found.ops)))


def _adds(op: Any) -> bool:
    """Whether who knows nothing of a step goes on as before."""
    if isinstance(op, ops.CreateIndexOp):
        return not op.unique
    return isinstance(op, ops.CreateTableOp | ops.AddColumnOp)


def _rendered(found: ops.UpgradeOps) -> list[str]:
    """Alembic's source of the steps, without its comments; it is indented as a function's body."""
    source = render_python_code(found, render_as_batch=True).strip()
    lines = [line.removeprefix("    ") for line in source.splitlines()]
    return [line for line in lines if not line.startswith("# ###") and line != "pass"]


def _is_to_be_made(index: FullText, connection: Connection, found: ops.UpgradeOps) -> bool:
    """Whether an index is new, another, or on a table that SQLite makes anew and so without triggers."""
    changes = [
        change
        for op in found.ops
        if isinstance(op, ops.ModifyTableOps) and op.table_name == index.table.name
        for change in op.ops
    ]
    plain = (ops.AddColumnOp, ops.CreateIndexOp, ops.DropIndexOp)
    there = {
        sql
        for (sql,) in connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE name LIKE ?", (f"{index.name}%",)
        )
    }
    return not set(index.statements()["sqlite"]) <= there or not all(
        isinstance(change, plain) for change in changes
    )


def _refuse_without_default(found: ops.UpgradeOps) -> None:
    for op in _flat(found.ops):
        if isinstance(op, ops.AddColumnOp):
            column = op.column
            if not column.nullable and column.server_default is None:
                raise NothingToDo(
                    f"{op.table_name}.{column.name}: the rows that there are need a value, so a new column "
                    "without NULL has a server_default"
                )


def _flat(operations: Any) -> Iterator[Any]:
    for op in operations:
        yield from _flat(op.ops) if isinstance(op, ops.ModifyTableOps) else (op,)


def _insert(name: str) -> str:
    rows = [dict(row) for row in INITIAL_ROWS[name]]
    columns = "".join(f", sa.column({column.name!r})" for column in metadata.tables[name].columns)
    return f"op.bulk_insert(sa.table({name!r}{columns}), {rows!r})"


def main() -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("message", nargs="?", help='"noun: what"; with --again, what the revision says')
    parser.add_argument(
        "--again", metavar="NNNN_noun", help="drop this revision, and make it anew as the last"
    )
    options = parser.parse_args()
    message, old = options.message, None
    if options.again:
        path = VERSIONS / f"{options.again}.py"
        old = path.read_text(encoding="utf-8")
        message = message or old.splitlines()[0].strip('".')
        path.unlink()
    try:
        path = revise(message or "")
    except NothingToDo as reason:
        if old is not None:
            (VERSIONS / f"{options.again}.py").write_text(old, encoding="utf-8")
        print(reason, file=sys.stderr)
        return 1
    print(path)
    if old is not None:
        print("what was written into it by hand is gone: see git", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
