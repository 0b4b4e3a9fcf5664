"""A real directory: Debian's slapd, on loopback, with two people in it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import node
from tests.support.authority import Authority

BASE = "ou=people,dc=example,dc=org"
ADMIN, ADMIN_PASSWORD = "cn=admin,dc=example,dc=org", "search"
SCHEMAS = Path("/etc/ldap/schema")
MODULES = Path("/usr/lib/ldap")

CONFIG = """\
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
pidfile {folder}/pid
TLSCACertificateFile {authority}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
database mdb
maxsize 10485760
suffix "dc=example,dc=org"
rootdn "{admin}"
rootpw {password}
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""

PEOPLE = """\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: Alice
mail: alice@work.example
userPassword: in wonderland

dn: uid=bob,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Bob
title: guest
userPassword: the builder
"""


class Slapd:
    """A running directory."""

    def __init__(self, authority: Path, port: int, tls_port: int) -> None:
        self.authority = authority
        self.plain = f"ldap://localhost:{port}"
        self.tls = f"ldaps://localhost:{tls_port}"

    def config(self, **settings: Any) -> dict[str, Any]:
        """An entry of ``[[ldap]]``."""
        return {
            "id": "directory",
            "uri": self.tls,
            "ca_file": str(self.authority),
            "base": BASE,
            "bind_dn": ADMIN,
            "bind_password": ADMIN_PASSWORD,
            "display_name_template": "{{ user.cn }}",
            "email_template": "{{ user.mail }}",
            **settings,
        }


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _program(name: str) -> str:
    found = shutil.which(name, path=f"/usr/sbin:/usr/libexec:{os.environ.get('PATH', '')}")
    if found is None or not SCHEMAS.is_dir():
        node.cannot("slapd is missing: scripts/services install")
    return found


@contextmanager
def running(folder: Path, authority: Authority) -> Iterator[Slapd]:
    """A directory for as long as it is needed."""
    slapd, add = _program("slapd"), _program("slapadd")
    (folder / "data").mkdir()
    certificate, key = authority.files("localhost")
    names = {
        "schemas": SCHEMAS,
        "modules": MODULES,
        "folder": folder,
        "authority": authority.file,
        "certificate": certificate,
        "key": key,
    }
    config = folder / "slapd.conf"
    config.write_text(CONFIG.format(admin=ADMIN, password=ADMIN_PASSWORD, **names))
    subprocess.run([add, "-q", "-f", config], input=PEOPLE, text=True, check=True, capture_output=True)
    port, tls_port = _free_port(), _free_port()
    urls = f"ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/"
    process = subprocess.Popen([slapd, "-f", config, "-h", urls, "-d", "0"], stderr=subprocess.DEVNULL)
    try:
        for wanted in port, tls_port:
            _wait_for(wanted, process)
        yield Slapd(authority.file, port, tls_port)
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("slapd does not answer")
