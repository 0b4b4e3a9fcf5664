"""The schema's revisions: one after the other, the last leading to what is declared."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, Table

from palpo.db import migrations
from palpo.db.migrations import HEAD, declared, revise, revisions
from palpo.db.tables import metadata
from palpo.db.tables.kept import Until, kept
from palpo.db.tables.meta import identifier, integer, text


def test_they_follow_one_another() -> None:
    """Where this fails: ``python -m palpo.db.migrations.revise --again NNNN_noun`` moves one to the end."""
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    names = revisions()

    assert scripts.get_heads() == [HEAD]
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert [scripts.get_revision(name).down_revision for name in names] == [None, *names[:-1]]


def test_the_last_leads_to_the_declared_tables() -> None:
    """Where this fails: ``python -m palpo.db.migrations.revise "noun: what"`` makes the revision."""
    last = import_module(f"palpo.db.migrations.versions.{HEAD}")

    assert last.schema == declared.declared_hash()


def test_nothing_to_revise(tmp_path: Path) -> None:
    with pytest.raises(revise.NothingToDo, match=HEAD):
        revise.revise("nothing: at all", tmp_path)


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> MetaData:
    """The declared tables, which a test may change."""
    copy = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(copy)
    monkeypatch.setattr(revise, "metadata", copy)
    monkeypatch.setattr(revise, "declared_hash", lambda: "another")
    return copy


def test_a_new_column_becomes_a_revision(changed: MetaData, tmp_path: Path) -> None:
    changed.tables["receipts"].append_column(Column("more", integer(), nullable=False, server_default="7"))

    path = revise.revise("receipts: more of them", tmp_path)
    source = path.read_text(encoding="utf-8")

    assert path.name == f"{len(revisions()) + 1:04}_receipts.py"
    assert source.startswith('"""receipts: more of them."""\n')
    assert f'down_revision = "{HEAD}"' in source
    assert (
        'batch_op.add_column(sa.Column("more", sa.BigInteger(), server_default="7", nullable=False))'
        in source
    )
    assert "full_text" not in source
    assert "additive = True\n" in source


def test_a_new_table_becomes_a_revision(changed: MetaData, tmp_path: Path) -> None:
    Table(
        "notes",
        changed,
        Column("user_id", identifier(), primary_key=True),
        Column("text", text(), nullable=False),
        info=kept(Until.ERASURE),
    )

    source = revise.revise("notes: new", tmp_path).read_text(encoding="utf-8")

    assert "op.create_table(" in source
    assert "info" not in source


def test_a_column_without_null_needs_a_value_for_what_is_there(changed: MetaData, tmp_path: Path) -> None:
    changed.tables["receipts"].append_column(Column("more", integer(), nullable=False))

    with pytest.raises(revise.NothingToDo, match=r"receipts\.more"):
        revise.revise("receipts: more", tmp_path)


def test_a_table_made_anew_gets_its_full_text_index_again(changed: MetaData, tmp_path: Path) -> None:
    """SQLite changes a column by making the table anew, which loses its triggers."""
    changed.tables["search_entries"].c.sender.nullable = True

    source = revise.revise("search: senders", tmp_path).read_text(encoding="utf-8")

    dropped, altered = source.index("    drop_full_text("), source.index("batch_op.alter_column(")
    assert dropped < altered < source.index("    create_full_text(")
    assert "additive = False\n" in source


def test_who_works_with_the_newest_tables_is_told_by_the_revisions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Those from which only additions have led there; the revisions are read, and not imported."""
    real = [import_module(f"palpo.db.migrations.versions.{name}") for name in revisions()]
    told = [getattr(module, "additive", False) for module in real]
    assert len(migrations.before_additions()) == (told[::-1].index(False))

    for name, additive in (("0001_a", True), ("0002_b", False), ("0003_c", True), ("0004_d", True)):
        (tmp_path / f"{name}.py").write_text(f"from alembic import op\n\nadditive = {additive}\n")
    monkeypatch.setattr(migrations, "VERSIONS", tmp_path)
    assert migrations.before_additions() == ["0003_c", "0002_b"]


@pytest.mark.parametrize("change", ["type", "null", "column", "index"])
def test_the_hash_tells_of_every_change(changed: MetaData, change: str) -> None:
    before = declared.describe(changed)
    table = changed.tables["receipts"]
    if change == "type":
        table.c.position.type = identifier()
    elif change == "null":
        table.c.position.nullable = True
    elif change == "column":
        table.append_column(Column("more", integer()))
    else:
        table.indexes.pop()

    assert declared.describe(changed) != before
