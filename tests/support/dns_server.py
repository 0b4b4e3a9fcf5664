"""A DNS server on the loopback interface, by UDP and TCP, with answers that are given ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

HOST = "127.0.0.1"


@dataclass(slots=True)
class DnsServer:
    """What is answered, and what was asked for."""

    port: int = 0
    records: dict[tuple[str, str], list[tuple[int, str]]] = field(default_factory=dict)
    """TTL and text of records by name and type; a name without records of any type is not there."""
    sequences: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Single records, of which each answer uses up one."""
    fails: set[str] = field(default_factory=set)
    """Names for which it fails."""
    silent: set[str] = field(default_factory=set)
    """Names for which it says nothing."""
    long: set[str] = field(default_factory=set)
    """Names whose answers come by TCP only."""
    negative_ttl: int = 60
    questions: list[tuple[str, str]] = field(default_factory=list)
    by_tcp: int = 0
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)
    """That are open, by TCP."""

    def add(self, name: str, kind: str, *texts: str, ttl: int = 300) -> None:
        """Answer with these records."""
        self.records[name, kind] = [(ttl, text) for text in texts]

    def asked(self, name: str, kind: str) -> int:
        """How often that was asked for."""
        return self.questions.count((name, kind))

    def answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """What is sent back for a query."""
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        self.questions.append((name, kind))
        self.by_tcp += tcp
        if name in self.silent:
            return None
        response = dns.message.make_response(query)
        if name in self.fails:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif name in self.long and not tcp:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind)
        return response.to_wire(max_size=65_535) if tcp else _by_udp(response)

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        if waiting := self.sequences.get((name, kind)):
            self.add(name, kind, waiting.pop(0), ttl=0)
        seen: set[str] = set()
        while (alias := self.records.get((name, "CNAME"))) and name not in seen:
            seen.add(name)
            self._add(response, name, "CNAME", alias)
            name = alias[0][1].removesuffix(".")
        if found := self.records.get((name, kind)):
            self._add(response, name, kind, found)
        elif name not in seen:
            zone = f"{name}. {self.negative_ttl} IN SOA ns. admin. 1 2 3 4 {self.negative_ttl}"
            response.authority.append(dns.rrset.from_text(*zone.split(" ", 4)))
            if not any(known == name for known, _ in self.records):
                response.set_rcode(dns.rcode.NXDOMAIN)

    @staticmethod
    def _add(response: dns.message.Message, name: str, kind: str, found: list[tuple[int, str]]) -> None:
        ttl = min(ttl for ttl, _ in found)
        texts = [text for _, text in found]
        response.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", kind, *texts))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the queries of one TCP connection."""
        task = asyncio.current_task()
        assert task is not None
        self.connections[task] = writer
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                reply = self.answer(await reader.readexactly(size), tcp=True)
                if reply is not None:
                    writer.write(len(reply).to_bytes(2, "big") + reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            del self.connections[task]

    async def end(self) -> None:
        """Wait until nothing of any connection is left."""
        for writer in self.connections.values():
            writer.transport.abort()
        await asyncio.gather(*self.connections)


def _by_udp(response: dns.message.Message) -> bytes:
    try:
        return response.to_wire()
    except dns.exception.TooBig:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        reply = self._server.answer(data, tcp=False)
        if reply is not None:
            self._transport.sendto(reply, addr)


@asynccontextmanager
async def dns_server() -> AsyncIterator[DnsServer]:
    """Run a server."""
    server = DnsServer()
    loop = asyncio.get_running_loop()
    tcp = await asyncio.start_server(server.serve, HOST, 0)
    server.port = tcp.sockets[0].getsockname()[1]
    udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), local_addr=(HOST, server.port))
    try:
        yield server
    finally:
        udp.close()
        tcp.close()
        await server.end()
        await tcp.wait_closed()
