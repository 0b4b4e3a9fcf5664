"""Why an event is not here, or not shown, as ``palpo federation event`` tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palpo.cli.event_lines import lines_of
from palpo.core.errors import NotFound
from palpo.core.events import SignedEvent
from palpo.core.records.events import Check
from palpo.services.federation.receiving.event_reports import EventReport, Fate
from palpo.storage import event_refusals
from palpo.workers.sweeps import INBOUND_MS, Sweeper
from tests.support.remote_users import BOB, CAROL, SERVER
from tests.support.transactions import MEMBER, Sender, sender_in, text


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with sender_in(tmp_path) as sender:
        yield sender


async def report(sender: Sender, event: SignedEvent | str) -> EventReport:
    name = event if isinstance(event, str) else event.event_id
    return await sender.ours.services.federation.event_reports.of(name)


def refusal(found: EventReport) -> tuple[Check, str]:
    """The one check that was not passed: those before it were, and it did not come to those after it."""
    checks = list(found.checks)
    (at,) = [index for index, item in enumerate(checks) if item.passed is False]
    assert [item.passed for item in checks] == [True] * at + [False] + [None] * (len(checks) - at - 1)
    return checks[at].check, checks[at].reason


async def test_rejected(sender: Sender) -> None:
    topic = await sender.room.event(BOB, ("m.room.topic", ""), {"topic": "mine"})
    await sender.send(topic)
    after = await sender.message("after it", after=(topic.event_id,))
    await sender.send(after)
    found = await report(sender, topic)
    assert (found.fate, found.origin) == (Fate.REJECTED, SERVER)
    check, reason = refusal(found)
    assert check is Check.AUTH_EVENTS
    assert "needed 50" in reason
    assert found.noted_ts == sender.ours.clock.now_ms()
    assert found.auth_events == dict.fromkeys(topic.auth_events, Fate.ACCEPTED)
    assert (await report(sender, after)).prev_events == {topic.event_id: Fate.REJECTED}
    lines = list(lines_of(found, sender.ours.clock.now_ms()))
    assert lines[0] == f"{topic.event_id}  rejected"
    assert f"  from     {SERVER}" in lines
    assert f"  no  auth events: {reason}" in lines


async def test_rejected_by_the_state_before(sender: Sender) -> None:
    """Its auth events let it in, but they are not those that held there."""
    state = (await sender.room.head()).row.state_root
    join = (await sender.room.history.events.full_state(state))[MEMBER, BOB]
    leave = await sender.room.event(BOB, (MEMBER, BOB), {"membership": "leave"})
    await sender.send(leave)
    late = await sender.message("late", after=(leave.event_id,), state={(MEMBER, BOB): join.event_id})
    await sender.send(late)
    assert refusal(await report(sender, late))[0] is Check.STATE_BEFORE


async def test_soft_failed(sender: Sender) -> None:
    before = await sender.message("before")
    body = {"user_id": BOB}
    await sender.alice.post(f"/rooms/{sender.room.room_id}/ban", body)
    await sender.send(before)
    found = await report(sender, before)
    assert (found.fate, found.origin) == (Fate.SOFT_FAILED, SERVER)
    assert refusal(found)[0] is Check.CURRENT_STATE


async def test_accepted_and_ours(sender: Sender) -> None:
    message = await sender.message("here")
    await sender.send(message)
    sent = await sender.alice.send(sender.room.room_id, "ours")
    for name in (message.event_id, sent):
        found = await report(sender, name)
        assert found.fate is Fate.ACCEPTED
        assert all(item.passed for item in found.checks)
        assert found.was_refused is None
        assert found.is_content_whole


async def test_what_was_changed_on_its_way(sender: Sender) -> None:
    """The signature is of what is protected: the rest is taken away where the hash does not match."""
    message = await sender.message("honest")
    await sender.send({**message.pdu, "content": text("forged")})
    found = await report(sender, message)
    assert found.fate is Fate.ACCEPTED
    assert not found.is_content_whole


async def test_refused(sender: Sender) -> None:
    """It is not even stored: what is known of it is forgotten after a while, however many there are."""
    message = await sender.message("unsigned")
    await sender.send({**message.pdu, "signatures": {SERVER: {"ed25519:1": "A" * 86}}})
    found = await report(sender, message)
    assert (found.fate, found.origin, found.room_id) == (Fate.REFUSED, SERVER, sender.room.room_id)
    assert refusal(found)[0] is Check.SIGNATURES
    assert next(iter(lines_of(found, sender.ours.clock.now_ms()))).endswith("  refused")
    sender.ours.clock.advance(INBOUND_MS + 1)
    await Sweeper(sender.ours.services.server.db, sender.ours.clock).sweep()
    with pytest.raises(NotFound):
        await report(sender, message)


async def test_of_those_that_are_not_stored_the_newest_are_known(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_refusals, "MAX_UNSTORED", 2)
    topic = await sender.room.event(BOB, ("m.room.topic", ""), {"topic": "mine"})
    await sender.send(topic)
    bad = [await sender.message(str(number)) for number in range(4)]
    for event in bad:
        sender.ours.clock.advance(1)
        await sender.send({**event.pdu, "signatures": {}})
    for event in bad[:2]:
        with pytest.raises(NotFound):
            await report(sender, event)
    for event in bad[2:]:
        assert (await report(sender, event)).fate is Fate.REFUSED
    assert (await report(sender, topic)).fate is Fate.REJECTED


async def test_what_was_refused_and_came_again(sender: Sender) -> None:
    message = await sender.message("twice")
    await sender.send({**message.pdu, "signatures": {}})
    await sender.send(message)
    found = await report(sender, message)
    assert found.fate is Fate.ACCEPTED
    assert found.was_refused is not None
    assert found.was_refused.refused_by is Check.SIGNATURES
    assert any("had been refused" in line for line in lines_of(found, 0))


async def test_what_waits(sender: Sender) -> None:
    first = await sender.message("first")
    second = await sender.message("second", after=(first.event_id,))
    third = await sender.message("third", after=(second.event_id,))
    await sender.send(second, third)
    await sender.settled()
    found = await report(sender, second)
    assert (found.fate, found.origin) == (Fate.WAITS, SERVER)
    assert found.wait is not None
    assert found.wait.tries == 1
    assert found.wait.missing == [first.event_id]
    assert found.wait.why
    rests = (await report(sender, third)).wait
    assert rests is not None
    assert second.event_id in (rests.why or "")
    assert (await report(sender, third)).prev_events == {second.event_id: Fate.WAITS}
    lines = list(lines_of(found, sender.ours.clock.now_ms()))
    assert f"  for      {first.event_id}" in lines
    assert f"    {first.event_id}  not here" in lines
    await sender.send(first)
    with pytest.raises(NotFound):
        await report(sender, "$nothing")


async def test_metrics(sender: Sender) -> None:
    """Each by what became of it."""
    topic = await sender.room.event(BOB, ("m.room.topic", ""), {"topic": "mine"})
    good, unsigned = await sender.message("good"), await sender.message("unsigned")
    waits = await sender.message("waits", after=("$nothing",))
    early = await sender.message("early")
    await sender.send(topic, good, {**unsigned.pdu, "signatures": {}}, waits)
    await sender.settled()
    await sender.alice.post(f"/rooms/{sender.room.room_id}/ban", {"user_id": BOB})
    await sender.send(early)
    lines = (await sender.ours.http.get("/_palpo/metrics")).text.splitlines()
    verdicts = {"accepted": 2, "soft_failed": 1, "rejected": 1, "waits": 1, "refused": 1}
    for verdict, number in verdicts.items():
        assert f'palpo_federation_pdus_total{{verdict="{verdict}"}} {number}.0' in lines
    for outcome in ("sent", "failed", "refused"):
        assert any(f'palpo_federation_transactions_total{{outcome="{outcome}"}}' in line for line in lines)
    for health in ("healthy", "catching up", "failing"):
        assert any(f'palpo_federation_destinations{{health="{health}"}}' in line for line in lines)


async def test_reports_of_all_kinds_can_be_printed(sender: Sender) -> None:
    """Others say what they like, of times too."""
    pdu: dict[str, Any] = (await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})).pdu
    late = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "\n\x1b[2J"})
    await sender.send(pdu, late)
    for name in sender.room.made:
        assert list(lines_of(await report(sender, name), 2**53))
