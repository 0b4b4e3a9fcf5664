"""Traces, as a collector gets them."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.homeserver import homeserver

service = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="palpo[tracing] is not installed"
)
pytestmark = pytest.mark.one_database
ERROR = 2
"""The status code of a span that failed."""


class Collector:
    """What takes traces by OTLP over HTTP; ``spans`` are those that it has got."""

    def __init__(self) -> None:
        spans: list[Any] = []
        resources: list[Any] = []
        paths: set[str] = set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                paths.add(self.path)
                for resource in service.ExportTraceServiceRequest.FromString(body).resource_spans:
                    resources.append(resource.resource)
                    for scope in resource.scope_spans:
                        spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.spans, self.resources, self.paths = spans, resources, paths
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def named(self, name: str) -> list[Any]:
        """The spans of that name."""
        return [span for span in self.spans if span.name == name]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


def attributes(span: Any) -> dict[str, Any]:
    """What a span, or a resource, says of itself."""
    return {item.key: getattr(item.value, str(item.value.WhichOneof("value"))) for item in span.attributes}


def inside(collector: Collector, request: Any) -> list[Any]:
    """The spans of a request's trace."""
    return [span for span in collector.spans if span.trace_id == request.trace_id]


async def test_a_request_its_transactions_and_what_it_asks(collector: Collector, tmp_path: Path) -> None:
    tracing = {"endpoint": collector.endpoint, "sample": 1.0}
    async with homeserver(tmp_path, tracing=tracing, federation={"enabled": True}) as server:
        alice = await server.register("alice")
        await alice.put(f"/user/{alice.user_id}/account_data/org.example", {"a": 1})
        await alice.create_room()
        await alice.get("/profile/@someone:127.0.0.1:1", status=None)
        await alice.request("GET", "//_matrix/client/v3/nothing", status=404)

    assert collector.paths == {"/v1/traces"}
    told = attributes(collector.resources[0])
    assert (told["service.name"], told["server.address"]) == ("palpo", "test.example")
    (request,) = collector.named("setAccountData")
    told = attributes(request)
    assert (told["http.request.method"], told["http.response.status_code"]) == ("PUT", 200)
    assert "-" in told["palpo.request_id"]
    (write,) = [span for span in inside(collector, request) if span.name == "db.write"]
    assert write.parent_span_id == request.span_id
    told = attributes(write)
    assert (told["db.system.name"], told["code.function.name"]) == ("sqlite", "AccountData.write")
    (created,) = collector.named("createRoom")
    assert "events.write" in {span.name for span in inside(collector, created)}
    (asked,) = collector.named("GET /_matrix/federation/v1/query")
    (profile,) = collector.named("getUserProfile")
    assert asked.trace_id == profile.trace_id
    assert asked.status.code == ERROR
    assert attributes(asked)["server.address"] == "127.0.0.1:1"
    (unknown,) = collector.named("unrecognized")
    assert attributes(unknown)["http.response.status_code"] == 404


async def test_nothing_names_anybody(collector: Collector, tmp_path: Path) -> None:
    async with homeserver(tmp_path, tracing={"endpoint": collector.endpoint, "sample": 1.0}) as server:
        alice = await server.register("alice")
        room_id = await alice.create_room(name="Secret")
        await alice.put(f"/rooms/{room_id}/send/m.room.message/1", {"msgtype": "m.text", "body": "Secret"})
    text = str(collector.spans)
    assert collector.named("sendMessage")
    for personal in ("alice", room_id, "Secret", "127.0.0.1"):
        assert personal not in text


async def test_a_part_of_all(collector: Collector, tmp_path: Path) -> None:
    async with homeserver(tmp_path, tracing={"endpoint": collector.endpoint, "sample": 0.0}) as server:
        await server.register("alice")
    assert collector.spans == []


async def test_a_collector_that_is_away(tmp_path: Path) -> None:
    async with homeserver(tmp_path, tracing={"endpoint": "http://127.0.0.1:9", "sample": 1.0}) as server:
        alice = await server.register("alice")
        assert (await alice.get("/account/whoami"))["user_id"] == alice.user_id


def test_nothing_is_loaded_without_it() -> None:
    script = "import sys, palpo.cli.main, palpo.app; print('opentelemetry' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout == "False\n", done.stderr
