"""Signatures that other servers add to events of ours."""

from __future__ import annotations

from itertools import islice
from typing import Any

from palpo.core.events import SignedEvent, parse_pdu
from palpo.core.identifiers import ServerName
from palpo.core.room_versions import RoomVersion
from palpo.core.server_keys import is_key_id
from palpo.core.signing import signature_key_ids
from palpo.services.federation.servers.remote_answers import Malformed

MAX_SIGNATURES = 2


def with_signatures(rules: RoomVersion, event: SignedEvent, returned: Any, server: ServerName) -> SignedEvent:
    """An event of ours with what another server has signed it with, which is not checked.

    ``returned`` is the event as that server sends it back: nothing else of it is taken. Raises Malformed
    where it has no signature of the server, BadJson, TooLarge.
    """
    given = returned if isinstance(returned, dict) else {}
    key_ids = islice(filter(is_key_id, signature_key_ids(given, server)), MAX_SIGNATURES)
    theirs = {key_id: given["signatures"][server][key_id] for key_id in key_ids}
    if not theirs:
        raise Malformed(f"{server} has not signed the event")
    signatures = {**event.pdu["signatures"], server: theirs}
    return parse_pdu(rules, {**event.pdu, "signatures": signatures}, room_id=event.room_id)
