"""What clients ask for (spec: client-server API, "Scope"; MSC2967)."""

from __future__ import annotations

import re

from palpo.core.bounded_text import check_text
from palpo.core.errors import InvalidParam
from palpo.core.oauth.errors import INVALID_SCOPE, OAuthError

API = "urn:matrix:client:api:*"
DEVICE = "urn:matrix:client:device:"
UNSTABLE_API = "urn:matrix:org.matrix.msc2967.client:api:*"
UNSTABLE_DEVICE = "urn:matrix:org.matrix.msc2967.client:device:"
SYNAPSE_ADMIN = "urn:synapse:admin:*"
"""By which Matrix Authentication Service grants administrators what they may do."""
SCOPES = (API, f"{DEVICE}*")
MAX_SCOPE = 2048

_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def read_scope(scope: str) -> tuple[str, str]:
    """What of ``scope`` is granted here, in the client's own words, and the ID of the device.

    What is not known is left out (RFC 6749, 3.3). Raises OAuthError, ``invalid_scope``, unless it asks for
    the whole API and for exactly one device.
    """
    tokens = list(dict.fromkeys(scope[:MAX_SCOPE].split(" "))) if len(scope) <= MAX_SCOPE else []
    known = [token for token in tokens if _is_known(token)]
    devices = {device_of(token) for token in known} - {None}
    if not {API, UNSTABLE_API}.intersection(known):
        raise OAuthError(INVALID_SCOPE, f"The scope has to have {API} in it")
    if len(devices) != 1:
        raise OAuthError(INVALID_SCOPE, f"The scope has to name exactly one device, as {DEVICE}…")
    (device_id,) = devices
    assert device_id is not None
    try:
        check_text(device_id, "A device ID")
    except InvalidParam as error:
        raise OAuthError(INVALID_SCOPE, error.message) from None
    return " ".join(known), device_id


def _is_known(token: str) -> bool:
    if _TOKEN.fullmatch(token) is None:
        return False
    return token in (API, UNSTABLE_API) or bool(device_of(token))


def device_of(token: str) -> str | None:
    """The device that a scope's token names."""
    for prefix in (DEVICE, UNSTABLE_DEVICE):
        if token.startswith(prefix):
            return token.removeprefix(prefix)
    return None
