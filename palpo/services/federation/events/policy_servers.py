"""Rooms' policy servers are asked to sign events (spec: server-server API, "Policy Servers"; MSC4284).

Before an event of ours is sent, and about one of others' that comes without the signature. What is not signed
is not sent, and of others it is soft-failed. Nothing is locked meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from palpo.core import policy_servers
from palpo.core.errors import Forbidden, MatrixError
from palpo.core.events import SignedEvent
from palpo.core.policy_servers import KEY_ID, PolicyServer
from palpo.core.signing import with_signature
from palpo.core.state_keys import POLICY, UNSTABLE_POLICY
from palpo.net.connections import Times
from palpo.net.federation_client import FederationClient
from palpo.net.federation_errors import FederationError, ServerError
from palpo.services.federation.servers.remote_answers import told
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.streams.clock import Clock
from palpo.streams.task_group import together

TIMES = Times(whole_s=10.0, connect_s=5.0, idle_s=10.0)
ANSWER_BYTES = 64 * 1024
AT_ONCE = 50
"""Events that one is asked about at once."""
PAUSE_MS = 15_000
"""How long one that could not be asked is not asked again: it has refused meanwhile."""
MAX_PAUSING = 1000
STABLE_PATH = "/_matrix/policy/v1/sign"
UNSTABLE_PATH = "/_matrix/policy/unstable/org.matrix.msc4284/sign"
NAMED_AT = (POLICY, UNSTABLE_POLICY)
AWAY = "The room's policy server cannot be asked"

log = structlog.get_logger("palpo.policy_servers")


class PolicyServers:
    """Asks them."""

    def __init__(
        self,
        heads: RoomHeads,
        servers: RoomServers,
        client: FederationClient,
        clock: Clock,
    ) -> None:
        self._heads = heads
        self._servers = servers
        self._client = client
        self._clock = clock
        self._away: dict[str, int] = {}
        """Those that could not be asked, and until when they are left alone."""

    async def of(self, head: RoomHead) -> PolicyServer | None:
        """The one that a room asks: its state names it, and it has a user in the room."""
        if self._heads.lacks(head, NAMED_AT):
            return None
        state = await self._heads.state(head, NAMED_AT)
        policy = policy_servers.policy_server(state) if state else None
        if policy is None or not await self._servers.is_in(head.room_id, policy.server_name):
            return None
        return policy

    async def countersigned(self, head: RoomHead, events: Sequence[SignedEvent]) -> list[SignedEvent] | None:
        """Events of ours with the signature of the room's policy server; None where there is none.

        Raises MatrixError: what it says where it refuses, Forbidden where it cannot be asked.
        """
        policy = await self.of(head)
        if policy is None:
            return None
        return [await self._signed(head, policy, event) for event in events]

    async def judged(
        self, head: RoomHead, events: Sequence[SignedEvent]
    ) -> tuple[list[SignedEvent], set[str]]:
        """Events of others, with the signatures that they lack; and the IDs of those that are not signed.

        Those of a transaction are asked about at once, so whoever has sent them waits for ``TIMES`` at most.
        """
        policy = await self.of(head)
        if policy is None:
            return list(events), set()
        signed: list[SignedEvent] = []
        unsigned: set[str] = set()
        for at in range(0, len(events), AT_ONCE):
            part = events[at : at + AT_ONCE]
            signed += await together(self._if_signed(head, policy, event, unsigned) for event in part)
        return signed, unsigned

    async def _if_signed(
        self, head: RoomHead, policy: PolicyServer, event: SignedEvent, unsigned: set[str]
    ) -> SignedEvent:
        """The event with the signature, or as it is, and then among the ``unsigned``."""
        try:
            return await self._signed(head, policy, event)
        except MatrixError as error:
            log.info("not_signed", event_id=event.event_id, error=error.message[:200])
            unsigned.add(event.event_id)
            return event

    async def _signed(self, head: RoomHead, policy: PolicyServer, event: SignedEvent) -> SignedEvent:
        rules = head.rules
        if not policy_servers.is_asked_about(event) or policy_servers.has_signed(rules, policy, event):
            return event
        signature = _signature(policy, await self._ask(policy, event))
        if signature is not None:
            pdu = with_signature(event.pdu, policy.server_name, KEY_ID, signature)
            signed = msgspec.structs.replace(event, pdu=pdu)
            if policy_servers.has_signed(rules, policy, signed):
                return signed
        raise Forbidden("The room's policy server has not signed the event")

    async def _ask(self, policy: PolicyServer, event: SignedEvent) -> dict[str, Any]:
        name, now = policy.server_name, self._clock.now_ms()
        if self._away.get(name, 0) > now:
            raise Forbidden(AWAY)
        try:
            return await self._sign(policy, event)
        except ServerError as error:
            if error.status < 500:
                raise told(error) from error
            self._leave_alone(name, now)
            raise Forbidden(AWAY) from error
        except FederationError as error:
            self._leave_alone(name, now)
            raise Forbidden(AWAY) from error

    async def _sign(self, policy: PolicyServer, event: SignedEvent) -> dict[str, Any]:
        """What it answers, by whichever name it knows the question."""
        paths = (UNSTABLE_PATH, STABLE_PATH) if policy.unstable else (STABLE_PATH, UNSTABLE_PATH)
        try:
            return await self._post(policy, paths[0], event)
        except ServerError as error:
            if error.status not in (404, 405) or error.errcode not in ("", "M_UNRECOGNIZED"):
                raise
        return await self._post(policy, paths[1], event)

    async def _post(self, policy: PolicyServer, path: str, event: SignedEvent) -> dict[str, Any]:
        return await self._client.json(
            policy.server_name, "POST", path, content=event.pdu, limit=ANSWER_BYTES, times=TIMES
        )

    def _leave_alone(self, name: str, now: int) -> None:
        while len(self._away) >= MAX_PAUSING:
            del self._away[next(iter(self._away))]
        self._away[name] = now + PAUSE_MS


def _signature(policy: PolicyServer, answer: dict[str, Any]) -> str | None:
    """The signature in an answer; an empty one is a refusal."""
    by_server = answer.get(policy.server_name)
    signature = by_server.get(KEY_ID) if isinstance(by_server, dict) else None
    return signature if isinstance(signature, str) else None
