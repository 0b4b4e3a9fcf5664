"""Writes ``docs/admin-api.md`` and ``pending.txt``: ``python -m tests.interop.admin_api.page``."""

from __future__ import annotations

from pathlib import Path

from tests.interop.admin_api.operations import (
    NOT_SERVED,
    PENDING_FILE,
    Operation,
    by_name,
    operations,
)

PAGE = Path(__file__).parents[3] / "docs" / "admin-api.md"
START = """\
# The admin API

Palpo has Synapse's admin API, so that dashboards and moderation tools which were made for Synapse work with
it. What is sent and answered is in
[Synapse's documentation](https://element-hq.github.io/synapse/latest/usage/administration/admin_api/). It is
for users who are administrators (`admins` in the [configuration](configuration.md), or
`palpo user create --admin`), and answered by [listeners](operation.md#before-it-a-reverse-proxy) that serve
`admin`. What changes something is written to the audit log.

This is every operation that Synapse documents, and those for reports of users, which it does not: {all}.
Here {served} of them are served, {pending} are not yet, and {others} will not be, for the reason that stands
there. [Tests](../tests/interop/admin_api) ask a
Palpo and a Synapse that are filled alike for each, and compare the answers field by field;
[what is different](../tests/interop/admin_api/differences.py) is listed with its reasons.

What [Ketesa](https://github.com/etkecc/ketesa), Awesome Technologies' Synapse Admin, Mjolnir, Draupnir and
`synadm` ask is [tested](../tests/interop/admin_api/dashboards) as well: that browsers may ask it from another
origin, and that the answers have what is read of them.
"""


def page() -> str:
    """The page's text."""
    known = by_name().values()
    counts = [where(each) for each in known]
    parts = [
        START.format(
            all=len(known),
            served=sum(each.endpoint() is not None for each in known),
            pending=counts.count("not yet"),
            others=sum(each.name in NOT_SERVED for each in known),
        )
    ]
    for topic, group in operations().items():
        parts.append(f"\n## {topic}\n\n| Synapse's operation | here |\n| --- | --- |\n")
        parts += [f"| `{each.method} {each.full_path}` | {where(each)} |\n" for each in group]
    return "".join(parts)


def where(operation: Operation) -> str:
    """The ID of the operation as ``palpo routes`` has it, or why there is none."""
    endpoint = operation.endpoint()
    if endpoint is not None:
        return f"`{endpoint.operation_id}`"
    return NOT_SERVED.get(operation.name, "not yet")


def still_pending() -> list[str]:
    """Those that are neither served nor have a reason not to be."""
    known = by_name().items()
    return [name for name, each in known if each.endpoint() is None and name not in NOT_SERVED]


if __name__ == "__main__":
    PENDING_FILE.write_text("".join(f"{name}\n" for name in still_pending()))
    PAGE.write_text(page())
