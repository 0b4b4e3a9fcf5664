"""What other servers tell of their own accord."""

from __future__ import annotations

from palpo.api.call import Call, Handlers, Reply
from palpo.wire.federation import transactions as wire

handlers = Handlers()


@handlers.serves(wire.send_transaction)
async def send_transaction(call: Call, params: wire.TransactionParams, body: wire.Transaction) -> Reply:
    """PUT /send/{txnId}."""
    answer = await call.services.federation.transactions.receive(
        call.origin, params.txn_id, [bytes(pdu) for pdu in body.pdus], [bytes(edu) for edu in body.edus]
    )
    return Reply(body=answer)
