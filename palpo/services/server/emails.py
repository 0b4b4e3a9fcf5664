"""Texts of messages, as Jinja templates: the subject in the first line, then an empty one, then the text."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


class Emails:
    """The texts in the folder ``emails`` of a package."""

    def __init__(self, package: str) -> None:
        self._templates = Environment(
            loader=PackageLoader(package, "emails"),
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            keep_trailing_newline=True,
        )

    def write(self, name: str, **values: object) -> tuple[str, str]:
        """Subject and text of a message."""
        subject, _, text = self._templates.get_template(f"{name}.txt").render(values).partition("\n\n")
        return subject, text
