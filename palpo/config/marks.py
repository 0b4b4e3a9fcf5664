"""What the model says of a setting beside its type and its description."""

from __future__ import annotations


class Mark:
    """Stands in a setting's annotation."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


SECRET = Mark("SECRET")
"""It is shown to nobody, and ``NAME_file`` may name a file that has it."""
LIVE = Mark("LIVE")
"""It is taken over by a reload; of a table: all that is in it. Whoever makes something of it listens
(``LiveConfig``), or looks at the one ``Config`` each time."""
