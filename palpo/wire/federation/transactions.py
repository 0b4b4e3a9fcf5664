"""What servers tell each other of their own accord (spec: server-server API, "Transactions")."""

from __future__ import annotations

import msgspec

from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, Params, Response, federation

MAX_PDUS = 50
MAX_EDUS = 100
MAX_BYTES = 10 * 1024 * 1024


class TransactionParams(Params, frozen=True):
    """A transaction, which is carried out once however often it is sent."""

    txn_id: str


class Transaction(Body, frozen=True):
    """Events and EDUs, each of which may be malformed without harm to the others."""

    origin: str
    """What it says is not looked at: the request is signed."""
    origin_server_ts: int
    """Milliseconds since the Unix epoch."""
    pdus: list[msgspec.Raw]
    edus: list[msgspec.Raw] = msgspec.field(default_factory=list)


class PduResult(Response, frozen=True):
    """What became of one event: nothing is said of one that was taken, whatever the room makes of it."""

    error: str | None = None


class TransactionResult(Response, frozen=True):
    """What became of the events."""

    pdus: dict[str, PduResult]
    """By event ID."""


send_transaction: Endpoint[TransactionParams, Transaction, TransactionResult] = Endpoint(
    operation_id="sendTransaction",
    method="PUT",
    paths=federation("/send/{txn_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=TransactionParams,
    body=Transaction,
    response=TransactionResult,
    max_body=MAX_BYTES,
    api="server-server",
)
