"""Sending email, to a mail server of the test's own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from palpo.net.email import EmailError, Mailer, MailServer
from tests.support.mail import HANG_UP, OK, SENDER, SILENCE, Mailbox, mailbox, playing, text_of


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with mailbox() as running:
        yield running


def mailer(box: Mailbox, *, security: str = "none", port: int | None = None) -> Mailer:
    return Mailer(
        MailServer(
            host="127.0.0.1",
            port=box.port if port is None else port,
            security=security,
            username="",
            password="",
            sender=SENDER,
            timeout_s=5.0,
        )
    )


async def test_a_message(box: Mailbox) -> None:
    sending = mailer(box)
    await sending.send("a@example.org", "Grüße", "Zeile eins\nand a very long one " + "x" * 2000)
    message = await box.next()
    assert message["Subject"] == "Grüße"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@test.example>")
    assert text_of(message).startswith("Zeile eins\nand")
    assert "x" * 2000 in text_of(message)
    await sending.close()


@pytest.mark.parametrize("to", ["a@example.org\nBcc: b@example.org", "a@b, c@d", "nobody", ""])
async def test_what_is_no_address(box: Mailbox, to: str) -> None:
    sending = mailer(box)
    with pytest.raises(EmailError) as caught:
        await sending.send(to, "Subject", "text")
    assert caught.value.permanent
    assert box.received.empty()
    await sending.close()


async def test_a_subject_makes_no_header(box: Mailbox) -> None:
    sending = mailer(box)
    with pytest.raises(EmailError):
        await sending.send("a@example.org", "Hello\r\nBcc: b@example.org", "text")
    await sending.close()


async def test_refusals(box: Mailbox) -> None:
    sending = mailer(box)
    for reply, permanent in (("550 No", True), ("450 Later", False)):
        box.refuse = reply
        with pytest.raises(EmailError) as caught:
            await sending.send("a@example.org", "Subject", "text")
        assert caught.value.permanent is permanent
    await sending.close()


async def test_no_tls_where_it_must_be(box: Mailbox) -> None:
    """A server without STARTTLS is given nothing in the clear."""
    for security in ("starttls", "tls"):
        sending = mailer(box, security=security)
        with pytest.raises(EmailError) as caught:
            await sending.send("a@example.org", "Subject", "text")
        assert not caught.value.permanent
        await sending.close()
    assert box.received.empty()


async def test_a_login_over_tls(tmp_path: Path) -> None:
    ours, theirs = certificates(tmp_path)
    async with mailbox(starttls=theirs) as box:
        server = MailServer(
            host="localhost",
            port=box.port,
            security="starttls",
            username="palpo",
            password="hush",
            sender=SENDER,
            timeout_s=5.0,
        )
        sending = Mailer(server, tls=ours)
        await sending.send("a@example.org", "Subject", "text")
        assert (await box.next())["To"] == "a@example.org"
        assert box.logins == [(b"palpo", b"hush")]
        await sending.close()
        untrusting = Mailer(server)
        with pytest.raises(EmailError):
            await untrusting.send("a@example.org", "Subject", "text")
        assert len(box.logins) == 1
        await untrusting.close()


def certificates(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client that trusts a server for localhost, and the server."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(pem + secret)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(path)
    return ssl.create_default_context(cadata=pem.decode()), server


async def test_nobody_there() -> None:
    sending = mailer(Mailbox(), port=1)
    with pytest.raises(EmailError):
        await sending.send("a@example.org", "Subject", "text")
    await sending.close()


@pytest.mark.parametrize("reply", [b"500 What?\r\n", HANG_UP, SILENCE], ids=["refused", "hung-up", "silent"])
async def test_what_was_accepted_is_sent_whatever_becomes_of_the_farewell(reply: bytes | None) -> None:
    async with playing(QUIT=reply) as (box, messages):
        sending = mailer(box)
        await sending.send("a@example.org", "Subject", "text")
        await sending.close()
        assert len(messages) == 1


async def test_replies_of_many_lines() -> None:
    lines = b"".join(b"250-Line %d\r\n" % n for n in range(50))
    async with playing(EHLO=lines + OK, MESSAGE=lines + OK) as (box, messages):
        sending = mailer(box)
        await sending.send("a@example.org", "Subject", "text")
        await sending.close()
        assert len(messages) == 1


FAILURES = {
    "greylisting": ({"RCPT": b"451 Try again\r\n"}, False, False),
    "no such address": ({"RCPT": b"550 Nobody\r\n"}, True, False),
    "shuts down": ({"RCPT": b"421 Bye\r\n"}, False, False),
    "not our sender": ({"MAIL": b"553 Not yours\r\n"}, False, False),
    "no service": ({"GREETING": b"554 No\r\n"}, False, False),
    "hangs up at once": ({"GREETING": HANG_UP}, False, False),
    "hangs up before the message": ({"DATA": HANG_UP}, False, False),
    "hangs up after the message": ({"MESSAGE": HANG_UP}, False, True),
    "spam": ({"MESSAGE": b"554 Spam\r\n"}, True, False),
    "full": ({"MESSAGE": b"452 Full\r\n"}, False, False),
    "nonsense": ({"RCPT": b"\xff\xfe nonsense\r\n"}, False, False),
    "says nothing": ({"GREETING": SILENCE}, False, False),
    "says nothing to the message": ({"MESSAGE": SILENCE}, False, True),
    "never ends a reply": ({"GREETING": b"220-Welcome\r\n" * 1000}, False, False),
}


@pytest.mark.parametrize(("replies", "permanent", "unknown"), FAILURES.values(), ids=FAILURES)
async def test_what_mail_servers_do(replies: dict[str, bytes | None], permanent: bool, unknown: bool) -> None:
    async with playing(**replies) as (box, _):
        sending = Mailer(replace(mailer(box)._server, timeout_s=1.0))
        with pytest.raises(EmailError) as caught:
            await sending.send("a@example.org", "Subject", "text")
        assert (caught.value.permanent, caught.value.unknown) == (permanent, unknown)
        # Nobody is left in a thread: it is waited for.
        await sending.close()


async def test_those_who_wait_behind_a_silent_server_are_answered_too() -> None:
    async with playing(GREETING=SILENCE) as (box, _):
        sending = Mailer(replace(mailer(box)._server, timeout_s=0.5))
        many = [sending.send("a@example.org", "Subject", "text") for _ in range(50)]
        async with asyncio.timeout(15):
            outcomes = await asyncio.gather(*many, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {EmailError}
        await sending.close()


async def test_certificate_authorities_are_not_read_on_the_event_loop(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def reading() -> ssl.SSLContext:
        threads.append(threading.get_ident())
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(ssl, "create_default_context", reading)
    for security in ("none", "tls"):
        assert threads == []
        sending = mailer(box, security=security, port=9)
        with pytest.raises(EmailError):
            await sending.send("b@example.org", "x", "y")
        await sending.close()
    assert len(threads) == 1
    assert threading.get_ident() not in threads
