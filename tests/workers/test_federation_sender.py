"""What is kept of servers that are behind."""

from __future__ import annotations

from palpo.app.starting import federation_sender
from palpo.core.identifiers import ServerName
from palpo.services.federation.sending.destination_queue import Outgoing
from palpo.storage import destinations
from palpo.workers.federation_sender import SLOW_MS
from tests.support.homeserver import Homeserver


async def test_a_server_is_told_while_it_is_noted_as_behind(server: Homeserver) -> None:
    """The note goes once it is there, though there is nothing to tell that server any more."""
    sender, db = federation_sender(server.services), server.services.server.db
    sender._leads = True
    queue = sender._queue(ServerName("remote.example"))
    queue.add_event((5, "$event"), server.clock.now_ms())
    server.clock.advance(SLOW_MS + 1)
    behind = sender._progress(10).write
    assert behind is not None
    queue.sending = Outgoing(transaction_id="1", event_ids=["$event"], edus=[], acked=5, ts=1)
    queue.acknowledged()
    sender._settle(queue)
    await db.write(behind)
    assert len(await db.read(destinations.every)) == 1
    sender._stored_s = 0.0
    told = sender._progress(10).write
    assert told is not None
    await db.write(told)
    assert await db.read(destinations.every) == []
    assert sender._queues == {}
