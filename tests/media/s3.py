"""An S3-compatible service within the test process."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from moto.server import ThreadedMotoServer

from palpo.config.sections.media import S3Config

BUCKET = "media"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """A running service."""

    url: str
    server: ThreadedMotoServer

    def config(self, **settings: str) -> S3Config:
        """How to reach it."""
        values = {"access_key_id": "key", "secret_access_key": "secret", "bucket": BUCKET, **settings}
        return S3Config(endpoint=self.url, timeout_seconds=10, **values)  # type: ignore[arg-type]

    def call(self, method: str, path: str, data: bytes | None = None) -> bytes:
        """Send a request of our own to it."""
        request = urllib.request.Request(f"{self.url}{path}", method=method, data=data)
        with urllib.request.urlopen(request) as response:
            body: bytes = response.read()
        return body

    def empty(self) -> None:
        """Forget everything, and make the bucket."""
        self.call("POST", "/moto-api/reset")
        self.call("PUT", f"/{BUCKET}")


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a service on a free port."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield S3Server(url=f"http://{host}:{port}", server=server)
    finally:
        server.stop()
