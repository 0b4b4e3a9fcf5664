"""The reverse proxies of ``deploy/``, of whose examples nothing is changed but ports and certificate."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import make_certificate
from tests.support.process import START_SECONDS, free_port
from tests.support.programs import program

DEPLOY = Path(__file__).parents[2] / "deploy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a proxy runs: its ports, that of the server behind it, and its certificate."""

    folder: Path
    palpo: int
    port: int
    plain_port: int
    certificate: Path
    key: Path

    def write(self, name: str, text: str) -> Path:
        """A file in the folder."""
        (self.folder / name).write_text(text)
        return self.folder / name


def changed(example: str, changes: Iterable[tuple[str, str]]) -> str:
    """The text of an example, in which each of what is changed must be there once."""
    text = (DEPLOY / example).read_text()
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr info;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def nginx(place: Place) -> list[str]:
    """The command that runs nginx."""
    changes = (
        ("server 127.0.0.1:8008;", f"server 127.0.0.1:{place.palpo};"),
        ("listen 80;", f"listen 127.0.0.1:{place.plain_port};"),
        ("listen [::]:80;", ""),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{place.port} ssl http2;"),
        ("listen [::]:443 ssl http2;", ""),
        ("/etc/letsencrypt/live/matrix.example.org/fullchain.pem", str(place.certificate)),
        ("/etc/letsencrypt/live/matrix.example.org/privkey.pem", str(place.key)),
    )
    place.write("site.conf", changed("nginx.conf", changes))
    main = place.write("nginx.conf", NGINX.format(folder=place.folder))
    return [program("nginx"), "-p", str(place.folder), "-c", str(main), "-e", "stderr"]


CADDY = """\
{{
	admin off
	storage file_system {folder}
	http_port {plain_port}
	https_port {port}
	default_bind 127.0.0.1
	skip_install_trust
	# The tests connect to an address, which is no name that a certificate could be chosen by.
	default_sni matrix.example.org
}}
"""


def caddy(place: Place) -> list[str]:
    """The command that runs Caddy."""
    site = "matrix.example.org, example.org {\n"
    text = changed("Caddyfile", ((site, f"{site}\ttls {place.certificate} {place.key}\n"),))
    around = CADDY.format(folder=place.folder, port=place.port, plain_port=place.plain_port)
    file = place.write("Caddyfile", around + text)
    return [program("caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]


def haproxy(place: Place) -> list[str]:
    """The command that runs HAProxy."""
    both = place.certificate.read_text() + place.key.read_text()
    changes = (
        ("server palpo 127.0.0.1:8008", f"server palpo 127.0.0.1:{place.palpo}"),
        ("bind :80\n", f"bind 127.0.0.1:{place.plain_port}\n"),
        ("bind :443 ", f"bind 127.0.0.1:{place.port} "),
        ("/etc/haproxy/matrix.example.org.pem", str(place.write("both.pem", both))),
    )
    file = place.write("haproxy.cfg", changed("haproxy.cfg", changes))
    return [program("haproxy"), "-W", "-db", "-f", str(file)]


COMMANDS: dict[str, Callable[[Place], list[str]]] = {"nginx": nginx, "caddy": caddy, "haproxy": haproxy}


class Proxy:
    """One of them, running in ``folder`` before a server at the port ``palpo``."""

    def __init__(self, name: str, folder: Path, palpo: int) -> None:
        self.name = name
        certificate, key = make_certificate(folder / "tls", "matrix.example.org")
        place = Place(
            folder=folder,
            palpo=palpo,
            port=free_port(),
            plain_port=free_port(),
            certificate=certificate,
            key=key,
        )
        self.port, self.plain_port = place.port, place.plain_port
        self._log = folder / "proxy.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                COMMANDS[name](place),
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, "PALPO": f"127.0.0.1:{palpo}"},
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self._log.read_text()
            with socket.socket() as connection:
                if connection.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{self.name} does not listen: {self._log.read_text()}")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
