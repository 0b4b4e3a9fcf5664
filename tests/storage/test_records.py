"""Rows become records, and records rows, by the names of fields and columns."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest
from sqlalchemy import Column, MetaData, Table

from palpo.db.tables.meta import blob, flag, identifier, integer
from palpo.storage.records import Records

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", identifier(), primary_key=True),
    Column("not_asked_for", integer()),
    Column("seen", flag()),
)
others = Table(
    "others",
    metadata,
    Column("id", identifier(), primary_key=True),
    Column("number", integer()),
    Column("names", blob()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    seen: bool
    count: int | None = None
    id: str


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    seen: bool
    count: int | None = None
    id: str


@pytest.mark.parametrize("record", [Thing, Struct])
def test_each_field_is_of_its_column(record: type[Thing]) -> None:
    records = Records(record, things, count=others.c.number)
    assert records.columns == (things.c.seen, others.c.number, things.c.id)

    thing = record(seen=True, count=7, id="a")
    assert records.of((1, 7, "a")) == thing
    assert records.of((1, 7, "a")).seen is True
    assert records.all([(1, 7, "a"), (0, None, "b")]) == [thing, record(seen=False, id="b")]
    assert records.one(None) is None
    assert records.one((1, 7, "a")) == thing
    assert records.values(thing) == {"seen": 1, "number": 7, "id": "a"}
    assert type(records.values(thing)["seen"]) is int


class Named(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    names: tuple[str, ...]


def test_a_tuple_of_text_is_a_json_array() -> None:
    records = Records(Named, others)

    named = Named(id="a", names=("b", "c"))
    assert records.values(named) == {"id": "a", "names": b'["b","c"]'}
    assert records.of(("a", b'["b","c"]')) == named


def test_a_field_without_a_column_is_an_error() -> None:
    with pytest.raises(KeyError):
        Records(Thing, things)
