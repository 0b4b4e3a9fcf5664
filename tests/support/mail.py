"""An SMTP server on the loopback interface, and what was sent to it."""

from __future__ import annotations

import asyncio
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
