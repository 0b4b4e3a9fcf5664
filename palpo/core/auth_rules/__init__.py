"""The authorization rules of every room version (spec: rooms/v1 to rooms/v12, "Authorization rules").

An event is judged three times (spec: server-server API, "Checks performed on receipt of a PDU"): by
its own auth events, by the state before it, and by the room's current state. The rules are one set:

- ``auth_types_for``    which pieces of state can bear on an event,
- ``check_auth_events`` the rules about the list of auth events itself,
- ``check_auth``        all other rules, against any state,
- ``validate_create_content`` the shape of a create event, before one is made,
- ``authorising_server`` whose signature a join through a restricted join rule needs besides.

All are pure, and raise ``AuthError`` with a reason.
"""

from palpo.core.auth_rules.check import check_auth, validate_create_content
from palpo.core.auth_rules.selection import auth_types_for, authorising_server, check_auth_events

__all__ = [
    "auth_types_for",
    "authorising_server",
    "check_auth",
    "check_auth_events",
    "validate_create_content",
]
