"""Events in the forms that clients may ask for."""

from __future__ import annotations

from msgspec.structs import replace

from tests.support.homeserver import Client, Homeserver


async def test_an_event_that_is_deleted_meanwhile_stays_as_it_was_read(
    server: Homeserver, alice: Client
) -> None:
    event_id = await alice.send(await alice.create_room(), "Hello")
    (event,) = await server.services.history.events.get_list([event_id])
    gone = replace(event, event=replace(event.event, event_id="$gone"))
    there, left = await server.services.reading.client_events.exchanged([event, gone])
    assert there != event
    assert left is gone
