"""Policy servers: which one a room asks about its events, and what that has signed.

Spec: server-server API, "Policy Servers"; MSC4284, with its unstable names. They do not decide what a room's
rules let in: what they have not signed is not sent, or soft-failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from palpo.core import event_hashes
from palpo.core.events import Event, SignedEvent, StateKey
from palpo.core.identifiers import ServerName, is_server_name
from palpo.core.room_versions import RoomVersion
from palpo.core.signing import SignatureError
from palpo.core.state_keys import POLICY, UNSTABLE_POLICY

KEY_ID = "ed25519:policy_server"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyServer:
    """The server that a room asks, if it has a user in the room."""

    server_name: ServerName
    verify_key: str
    """Unpadded base64; whether it is a key shows when it is used."""
    unstable: bool
    """Whether it is set by the event's unstable type."""


def policy_server(state: Mapping[StateKey, Event]) -> PolicyServer | None:
    """The one that a state names, of which ``state`` has what is set at the keys of policies."""
    for key in (POLICY, UNSTABLE_POLICY):
        content = state[key].content if key in state else {}
        via, keys = content.get("via"), content.get("public_keys")
        verify_key = keys.get("ed25519") if isinstance(keys, dict) else None
        if key == UNSTABLE_POLICY and verify_key is None:
            verify_key = content.get("public_key")
        if isinstance(via, str) and is_server_name(via) and isinstance(verify_key, str):
            unstable = key == UNSTABLE_POLICY
            return PolicyServer(server_name=ServerName(via), verify_key=verify_key, unstable=unstable)
    return None


def is_asked_about(event: Event) -> bool:
    """Whether an event needs a policy server's signature: what names the server does not."""
    return event.state_key is None or event.key not in (POLICY, UNSTABLE_POLICY)


def has_signed(rules: RoomVersion, policy: PolicyServer, event: SignedEvent) -> bool:
    """Whether an event has the policy server's signature."""
    try:
        event_hashes.verify_event_signature(rules, event.pdu, policy.server_name, KEY_ID, policy.verify_key)
    except SignatureError:
        return False
    return True
