"""The schema's revisions, in ``versions``: ``NNNN_noun.py``, each after the one with the number before.

:mod:`palpo.db.migrations.upgrade` brings a database to the newest, :mod:`palpo.db.migrations.revise`
writes the next. A revision that has landed is never changed.
"""

from __future__ import annotations

from pathlib import Path

VERSIONS = Path(__file__).parent / "versions"


def revisions() -> list[str]:
    """The name of every revision, the oldest first."""
    return sorted(path.stem for path in VERSIONS.glob("[0-9]*_*.py"))


def before_additions() -> list[str]:
    """The revisions from which only additions lead to the newest: their releases go on beside this one."""
    found: list[str] = []
    names = revisions()
    for before, name in zip(reversed(names[:-1]), reversed(names), strict=False):
        # Read, and not imported: that would bring Alembic along.
        if "\nadditive = True\n" not in (VERSIONS / f"{name}.py").read_text():
            break
        found.append(before)
    return found


HEAD = revisions()[-1]
"""The newest revision: what this release of the program works with."""
