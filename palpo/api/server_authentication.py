"""Which server sends a request, by what it has signed (spec: server-server API, "Request Authentication")."""

from __future__ import annotations

import asyncio
from typing import Any

from palpo.api.call import Call
from palpo.api.limits import Limiter, origin
from palpo.core import x_matrix
from palpo.core.canonical_json import decode, to_json
from palpo.core.errors import BadJson, Forbidden, NotJson, Unauthorized
from palpo.core.identifiers import ServerName
from palpo.core.json_parts import decode_parts, signed_forms
from palpo.core.server_names import ServerNameRules
from palpo.core.signed_objects import SignedObject, signed_request
from palpo.services.federation.keys.keyring import Keyring
from palpo.services.federation.servers.server_acls import ServerAcls
from palpo.streams.clock import Clock
from palpo.wire.endpoint import Limit

IN_A_THREAD = 128 * 1024
"""Bytes of a body above which what was signed is made out of it in a thread."""


class ServerAuthenticator:
    """Checks requests of servers, and what they may be about."""

    def __init__(
        self,
        server_name: ServerName,
        rules: ServerNameRules,
        keyring: Keyring,
        acls: ServerAcls,
        clock: Clock,
        limiter: Limiter,
    ) -> None:
        self._server_name = server_name
        self._rules = rules
        self._keyring = keyring
        self._acls = acls
        self._clock = clock
        self._limiter = limiter

    def admit(self, call: Call) -> None:
        """Raises Unauthorized, Forbidden or LimitExceeded, before the body is read.

        Nothing of what is said there is proved; but who could not prove it lately waits.
        """
        credentials = x_matrix.parse(call.authorizations)
        if not self._rules.permits(credentials.origin):
            raise Forbidden("This server does not speak to yours")
        if credentials.destination not in (None, self._server_name):
            raise Unauthorized("The request is for another server")
        self._limiter.check(Limit.ATTEMPT, origin(call.client_address))

    async def authenticate(self, call: Call) -> ServerName:
        """The server that has signed the request; raises Unauthorized, NotJson, BadJson.

        Of its body what cannot be read is left out then.
        """
        body = call.body
        try:
            signed = [await self._signed(call)]
        except (NotJson, BadJson):
            signed, body = await asyncio.to_thread(self._without_unreadable, call)
        errors = await self._keyring.verify(signed)
        if errors[0] is not None and all(errors):
            self._limiter.debit(Limit.ATTEMPT, origin(call.client_address), 1)
            raise Unauthorized(errors[0].message)
        call.body = body
        return signed[0].server_name

    async def authorize(self, server: ServerName, params: Any) -> None:
        """Raises Forbidden where the room that a request is about shuts the server out."""
        room_id = getattr(params, "room_id", None)
        if room_id is not None:
            await self._acls.check(room_id, server)

    async def _signed(self, call: Call) -> SignedObject:
        if len(call.body) > IN_A_THREAD:
            return await asyncio.to_thread(self._signed_object, call)
        return self._signed_object(call)

    def _without_unreadable(self, call: Call) -> tuple[list[SignedObject], bytes]:
        """What may have been signed where parts of a request cannot be read, and the body without them."""
        signed = [self._signed_as(call, None, form) for form in signed_forms(call.body)]
        return signed, to_json(decode_parts(call.body))

    def _signed_object(self, call: Call) -> SignedObject:
        return self._signed_as(call, decode(call.body) if call.body else None)

    def _signed_as(self, call: Call, content: Any, form: bytes | None = None) -> SignedObject:
        credentials = x_matrix.parse(call.authorizations)
        request = x_matrix.signed_by(
            credentials,
            method=call.method,
            uri=f"{call.raw_path}?{call.query}" if call.query else call.raw_path,
            content=content,
            own_name=self._server_name,
        )
        return signed_request(credentials, request, now_ms=self._clock.now_ms(), form=form)
