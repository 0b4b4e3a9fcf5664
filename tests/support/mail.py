"""An SMTP server on the loopback interface, and what was sent to it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

PATIENCE_S = 10.0
SENDER = "Palpo <noreply@test.example>"


@dataclass(slots=True)
class Mailbox:
    """What was received; ``refuse`` is the reply, as ``550 No``, to whoever wants to send."""

    port: int = 0
    refuse: str = ""
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Who has logged in: name and password."""
    received: asyncio.Queue[EmailMessage] = field(default_factory=asyncio.Queue)

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration's ``email`` table."""
        return {"host": "127.0.0.1", "port": self.port, "security": "none", "sender": SENDER}

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Somebody wants to write to an address."""
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """A message has come."""
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        await self.received.put(message)
        return "250 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: object
    ) -> AuthResult:
        """Somebody logs in."""
        assert isinstance(auth_data, LoginPassword)
        self.logins.append((auth_data.login, auth_data.password))
        return AuthResult(success=True)

    async def next(self) -> EmailMessage:
        """The next message, within a few seconds."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.received.get()


def text_of(message: EmailMessage) -> str:
    """A message's plain text."""
    content = message.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


def link_in(message: EmailMessage) -> str:
    """The link in a message, without scheme and host."""
    found = re.search(r"https?://[^/\s]+(/\S+)", text_of(message))
    assert found is not None, text_of(message)
    return found[1]


@asynccontextmanager
async def mailbox(starttls: ssl.SSLContext | None = None) -> AsyncIterator[Mailbox]:
    """Run a server; with ``starttls`` it takes messages from those only who log in over TLS."""
    box = Mailbox()
    loop = asyncio.get_running_loop()

    def connection() -> SMTP:
        return SMTP(
            box,
            hostname="mail.example",
            enable_SMTPUTF8=True,
            loop=loop,
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=box.authenticate,
            auth_required=starttls is not None,
        )

    server = await loop.create_server(connection, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()


OK = b"250 OK\r\n"
POLITE: dict[bytes, bytes | None] = {
    b"": b"220 mail.example\r\n",
    b"EHLO": OK,
    b"MAIL": OK,
    b"RCPT": OK,
    b"DATA": b"354 Go on\r\n",
    b".": OK,
    b"QUIT": b"221 Bye\r\n",
}
HANG_UP = None
"""Instead of a reply."""
SILENCE = b""


@asynccontextmanager
async def playing(**replies: bytes | None) -> AsyncIterator[tuple[Mailbox, list[bytes]]]:
    """A mail server that gives other replies than POLITE; and the messages that it was given.

    ``GREETING`` is what it says first, ``MESSAGE`` what it answers to one.
    """
    script = {**POLITE, **{name.encode(): reply for name, reply in replies.items()}}
    script = {{b"GREETING": b"", b"MESSAGE": b"."}.get(name, name): reply for name, reply in script.items()}
    messages: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            verb = b""
            while (reply := script.get(verb, b"500 What?\r\n")) is not None:
                writer.write(reply)
                if verb == b"DATA" and reply.startswith(b"354"):
                    messages.append(await reader.readuntil(b"\r\n.\r\n"))
                    verb = b"."
                else:
                    verb = (await reader.readuntil(b"\n")).split()[0].upper()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Mailbox(port=server.sockets[0].getsockname()[1]), messages
    finally:
        server.close()
